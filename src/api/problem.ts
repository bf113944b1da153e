import type { Context } from "hono";
import { Fault, faultCodes } from "#core/fault.ts";
import { limits } from "#core/limits.ts";
import type { Log } from "#sdk/log.ts";

/** Everything that goes wrong leaves as problem details (RFC 9457), with the code of the closed table in `core/fault.ts`. */

interface ProblemPorts {
  readonly newId: () => string;
  readonly log: Log;
}

/**
 * The answer to a failed request. A fault tells its code, sentence and details; anything else, and a broken invariant, tells an incident id and
 * nothing more, and what happened stands in the log under that id.
 */
export function problemResponse(context: Context, error: unknown, ports: ProblemPorts): Response {
  if (error instanceof Fault && error.code !== "invariant") return faultResponse(context, error);
  const incident = ports.newId();
  ports.log.error("A request failed unexpectedly.", {
    incident,
    request: `${context.req.method} ${loggedPath(context.req.path)}`,
    error: String(error),
    stack: error instanceof Error ? error.stack : undefined,
  });
  return faultResponse(context, new Fault("internal", `Something broke inside Segno. The log has it under incident ${incident}.`, { incident }));
}

function faultResponse(context: Context, fault: Fault): Response {
  const { status, title } = faultCodes[fault.code];
  const standard = { type: `urn:segno:problem:${fault.code}`, title, status, code: fault.code, detail: cutText(fault.message), instance: context.req.path };
  return Response.json({ ...cutDetails(fault.details), ...standard }, { status, headers: problemHeaders(fault) });
}

/** A text that tells of what was sent, short enough to be read. */
export function cutText(text: string): string {
  return text.length <= limits.problemTextLength ? text : `${text.slice(0, limits.problemTextLength)}… (cut)`;
}

function cutDetails(details: Fault["details"]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(details).map(([name, detail]) => [name, cutDetail(detail)]));
}

function cutDetail(detail: unknown): unknown {
  if (typeof detail === "string") return cutText(detail);
  if (Array.isArray(detail)) return detail.slice(0, limits.problemItems).map(cutDetail);
  return typeof detail === "object" && detail !== null ? cutDetails({ ...detail }) : detail;
}

function problemHeaders(fault: Fault): Record<string, string> {
  const headers: Record<string, string> = { "content-type": "application/problem+json", "cache-control": "no-store" };
  if (fault.code === "unauthorized") headers["www-authenticate"] = 'Bearer realm="segno"';
  if (fault.code === "overloaded") headers["retry-after"] = "1";
  if (fault.code === "newer_version") headers["retry-after"] = "60";
  if (Array.isArray(fault.details["allow"])) headers["allow"] = fault.details["allow"].join(", ");
  return headers;
}

/** Whoever reads the log must not be able to answer a callback or to decide. */
function loggedPath(path: string): string {
  return path.replace(/^\/(callbacks|approvals)\/.*/, "/$1/(token)");
}
