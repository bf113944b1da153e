import { z } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { accepts } from "hono/accepts";
import type { ApprovalRecord, StepRecord } from "#core/command.ts";
import { Fault, faultCodeOf, faultCodes } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import type { RunSummary } from "#core/run.ts";
import { verifyToken } from "#objects/callback-token.ts";
import type { RunHandle } from "#objects/runs.ts";
import type { Api, ApiContext } from "./api-context.ts";
import { LinkAnswer, LinkDecision } from "./approval-contract.ts";
import { formFields, formValue } from "./approval-form.ts";
import { type Markup, messageBody, pageOf, questionBody } from "./approval-page.ts";
import { jsonAnswer, problemAnswer } from "./contract.ts";
import { decideCommand } from "./decision.ts";
import { cutText } from "./problem.ts";
import { isJsonType, mediaTypeOf, parseJson, readBody } from "./request-body.ts";
import { callbackSecret } from "./settings.ts";

/**
 * The signed links by which people decide without an API key. A link is a capability: whoever has the address may decide, once, as the one whom it was made
 * for. Hence POST needs no token against forged requests from other sites: a site that could forge one would have to know the address, and could then just
 * as well call it. And hence the address must not leak: no referrer, no cache, no frame, nothing loaded from elsewhere.
 */
export function addApprovalLinkRoutes(api: Api): void {
  const params = z.object({ token: z.string() });
  const page = { description: "A page for a person.", content: { "text/html": { schema: z.string() } } };
  const common = { path: "/approvals/{token}", tags: ["approvals"], security: [], request: { params } };
  api.openAPIRegistry.registerPath({
    ...common,
    method: "get",
    summary: "Show the page behind an approval's link",
    description: "Decides nothing, whoever opens it: mail scanners and previews open links too.",
    responses: { 200: page, default: problemAnswer },
  });
  api.openAPIRegistry.registerPath({
    ...common,
    method: "post",
    summary: "Decide by an approval's link",
    description:
      "The link tells who decides, and counts once. Body: JSON `{decision, comment?, form?}`, or a form with `decision`, `comment` and a field `form.<property>` for each property. Answers with a page, or JSON with `Accept: application/json`.",
    responses: { 200: { ...page, content: { ...page.content, ...jsonAnswer("", LinkAnswer).content } }, default: problemAnswer },
  });
  api.use("/approvals/*", protect);
  api.get("/approvals/:token", (context) => asPage(context, () => show(context)));
  api.post("/approvals/:token", (context) => asPage(context, () => decide(context)));
}

type LinkContext = Context<ApiContext, "/approvals/:token">;

/** An approval as its link finds it. */
interface Link {
  readonly run: RunHandle;
  readonly summary: RunSummary;
  readonly step: StepRecord;
  readonly approval: ApprovalRecord;
  readonly assignee: string;
}

async function show(context: LinkContext): Promise<Response> {
  const link = await openLink(context);
  return answerPage(200, titleOf(link), questionBody({ ...questionOf(link), sent: null, issues: [] }));
}

async function decide(context: LinkContext): Promise<Response> {
  const link = await openLink(context);
  const body = await readBody(context.req.raw);
  const mediaType = mediaTypeOf(context.req.raw);
  if (isJsonType(mediaType)) return answerDecision(context, link, await send(link, LinkDecision.safeParse(parseJson(body))));
  if (mediaType !== "application/x-www-form-urlencoded") {
    throw new Fault("unsupported_media_type", "A decision's body must be application/x-www-form-urlencoded or application/json.");
  }
  const sent = new URLSearchParams(new TextDecoder().decode(body));
  const question = questionOf(link);
  try {
    const rejects = sent.get("decision") === "rejected";
    const form = rejects ? undefined : formValue(question.fields, sent);
    const read = LinkDecision.safeParse({ decision: sent.get("decision"), comment: sent.get("comment") ?? undefined, form });
    return answerDecision(context, link, await send(link, read));
  } catch (error) {
    if (faultCodeOf(error) !== "invalid_payload" || wantsJson(context)) throw error;
    return answerPage(422, titleOf(link), questionBody({ ...question, sent, issues: issuesOf(error) }));
  }
}

/**
 * What the link of a request leads to, if it still leads to something.
 * @throws Fault `callback_invalid` for a token that we did not sign, `callback_expired` past the approval's time, `already_decided` for one that is over or
 * that this link has decided; `run_not_found`, `step_not_found`.
 */
async function openLink(context: LinkContext): Promise<Link> {
  const { namespace, runId, key, assignee } = verifyToken(callbackSecret(context.env), "approval", context.req.param("token"));
  const run = context.var.ports.run(namespace, runId);
  const [{ run: summary }, step] = await Promise.all([run.detail(0), run.step(key)]);
  const { approval } = step;
  if (!approval) throw new Fault("step_not_found");
  const own = approval.decisions.find((decision) => decision.actor === assignee);
  if (own) throw new Fault("already_decided", `${assignee} has ${own.decision} this already; a link counts once.`, { step: key, decision: own.decision });
  if (step.outcome === "timeout") throw expired(key);
  if (step.endedAt !== null) throw new Fault("already_decided", overMessage(step), { step: key, outcome: step.outcome ?? step.status });
  return { run, summary, step, approval, assignee };
}

/** Records the decision. @returns the approval after it. @throws Fault `invalid_request`, `invalid_payload`, or as `openLink` when something else came first. */
async function send(
  { run, step, assignee }: Link,
  read: z.ZodSafeParseResult<LinkDecision>,
): Promise<{ decision: LinkDecision["decision"]; after: StepRecord }> {
  if (!read.success) {
    const issues = read.error.issues.map((issue) => ({ path: issue.path.map(String), message: issue.message }));
    throw new Fault("invalid_request", `The body does not fit: ${issues[0]?.path.join(".")}: ${issues[0]?.message}`, { in: "body", issues });
  }
  try {
    await run.decide(decideCommand({ key: step.key, actor: assignee, via: "link" }, read.data, "json"));
  } catch (error) {
    if (faultCodeOf(error) === "already_decided" && isPastItsTime(error)) throw expired(step.key);
    throw error;
  }
  return { decision: read.data.decision, after: await run.step(step.key) };
}

/** The run says `waiting` of an approval whose time is over, though nothing has ended it yet. */
function isPastItsTime(error: unknown): boolean {
  return error instanceof Fault && (error.details["outcome"] === "timeout" || error.details["outcome"] === "waiting");
}

function expired(key: string): Fault {
  return new Fault("callback_expired", "The time to decide is over; nothing was recorded.", { step: key });
}

function overMessage({ outcome, status }: StepRecord): string {
  if (outcome === "approved" || outcome === "rejected") return `This was decided: it is ${outcome}.`;
  return outcome === "skipped" || outcome === "by_hand"
    ? "An operator has ended this; no decision is needed."
    : `No decision is needed any more: it is ${status}.`;
}

function questionOf({ summary, step, approval, assignee }: Link) {
  return { run: summary, step, assignee, fields: formFields(approval.form) };
}

function titleOf({ step }: Link): string {
  return `Approve ${step.name}?`;
}

function issuesOf(error: unknown): readonly string[] {
  const issues = error instanceof Fault ? error.details["issues"] : null;
  return Array.isArray(issues) && issues.length > 0
    ? issues.slice(0, limits.problemItems).map((issue) => cutText(String(issue)))
    : [error instanceof Error ? error.message : "It does not fit."];
}

function answerDecision(context: LinkContext, { summary, step }: Link, { decision, after }: Awaited<ReturnType<typeof send>>): Response | Promise<Response> {
  const decided = after.approval?.decisions.length ?? 0;
  const quorum = after.approval?.quorum ?? 1;
  const open = after.endedAt === null;
  if (wantsJson(context)) return context.json({ runId: summary.id, key: step.key, decision, decided, quorum, open } satisfies z.infer<typeof LinkAnswer>, 200);
  const rest = open ? ` ${decided} of ${quorum} have approved so far.` : "";
  return answerPage(200, `You have ${decision} ${step.name}`, messageBody(`Your decision on ${step.key} of run ${summary.id} is recorded.${rest}`));
}

/** What goes wrong is told as a page, unless JSON was asked for or it is none of the caller's doing. */
async function asPage(context: LinkContext, answer: () => Promise<Response>): Promise<Response> {
  try {
    return await answer();
  } catch (error) {
    if (!(error instanceof Fault) || wantsJson(context)) throw error;
    const { status, title } = faultCodes[error.code];
    if (status >= 500 && error.code !== "overloaded") throw error;
    const known: Partial<Record<Fault["code"], string>> = {
      callback_invalid: "This link is not valid. Please copy it whole, as you got it.",
      run_not_found: "What this link was about does not exist any more.",
      overloaded: "Nothing was recorded. Please try again in a moment.",
    };
    return answerPage(status, pageTitles[error.code] ?? title, messageBody(known[error.code] ?? cutText(error.message)));
  }
}

const pageTitles: Partial<Record<Fault["code"], string>> = {
  callback_invalid: "This link is not valid",
  callback_expired: "This link has expired",
  already_decided: "This is decided",
  overloaded: "Please try again",
};

async function answerPage(status: number, title: string, body: Markup): Promise<Response> {
  const nonce = crypto.randomUUID();
  const headers = {
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": `default-src 'none'; style-src 'nonce-${nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
  };
  return new Response(String(await pageOf({ title, body, nonce })), { status, headers });
}

function wantsJson(context: LinkContext): boolean {
  return accepts(context, { header: "Accept", supports: ["text/html", "application/json"], default: "text/html" }) === "application/json";
}

const protect: MiddlewareHandler<ApiContext> = async (context, next) => {
  await next();
  const { headers } = context.res;
  if (!headers.has("content-security-policy")) headers.set("content-security-policy", "default-src 'none'; frame-ancestors 'none'");
  headers.set("referrer-policy", "no-referrer");
  headers.set("cache-control", "no-store");
  headers.set("x-content-type-options", "nosniff");
  headers.set("x-frame-options", "DENY");
};
