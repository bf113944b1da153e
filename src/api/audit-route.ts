import { createRoute, type z } from "@hono/zod-openapi";
import type { AuditRecord } from "#core/audit.ts";
import { checkRunId } from "#core/run.ts";
import { type Api, runOf } from "./api-context.ts";
import { jsonAnswer, PageQuery, problemAnswer, ReadHeaders, RunParams } from "./contract.ts";
import { AuditPageView, type AuditRecordView } from "./operator-contract.ts";
import { isoText } from "./run-view.ts";
import { presentOptional, type ValueForm } from "./values.ts";

const defaultPage = 50;

const auditRoute = createRoute({
  method: "get",
  path: "/v1/runs/{id}/audit",
  tags: ["operators"],
  summary: "List what people did to a run",
  description:
    "Every act of an operator and every decision on an approval, in order: who, when, what and why, and the run's status before and after. It is part of the journal and never changes.",
  request: { params: RunParams, query: PageQuery, headers: ReadHeaders },
  responses: { 200: jsonAnswer("A page of the audit.", AuditPageView), default: problemAnswer },
});

/** The route that tells what people did to a run. */
export function addAuditRoute(api: Api): void {
  api.openapi(auditRoute, async (context) => {
    const { id } = context.req.valid("param");
    checkRunId(id);
    const form = context.req.valid("header")["accept-values"] ?? "json";
    const { after, limit = defaultPage } = context.req.valid("query");
    const page = await runOf(context, id).audit(Number(after ?? 0), limit);
    return context.json({ audit: page.items.map((record) => presentRecord(record, form)), nextCursor: page.next === null ? null : String(page.next) }, 200);
  });
}

function presentRecord(record: AuditRecord, form: ValueForm): z.infer<typeof AuditRecordView> {
  return { ...record, keys: [...record.keys], at: isoText(record.at), value: presentOptional(record.value, form) };
}
