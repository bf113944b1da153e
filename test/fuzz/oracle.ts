import { faultCodes } from "#core/fault.ts";
import type { Answer } from "./connection.ts";
import { type Document, misfit, type Operation } from "./document.ts";
import type { Input } from "./draft.ts";
import type { Secrets } from "./world.ts";

/** What every answer must keep to, whatever was asked. Each check tells what is wrong, or null. */

export interface Judged {
  readonly document: Document;
  readonly operation: Operation;
  readonly secrets: Secrets;
  readonly input: Input;
  readonly answer: Answer;
}

/** No answer takes longer, in ms. */
export const slowMs = 5_000;

export function violationOf(judged: Judged): string | null {
  const { answer } = judged;
  if (answer.ms > slowMs) return `It took ${Math.round(answer.ms)} ms.`;
  return leak(judged) ?? (answer.status < 400 ? wrongSuccess(judged) : wrongRefusal(judged));
}

function leak({ answer, input, secrets }: Judged): string | null {
  const said = `${answer.body.toString("utf8")}\n${Object.values(answer.headers).join("\n")}`;
  for (const [name, text] of Object.entries(secrets)) {
    // Part of the answer says again what was asked for.
    if (said.includes(text) && !input.bytes.includes(text)) return `The answer tells ${name}.`;
  }
  return said.includes("hidden-in-output") ? "The answer tells a redacted output." : null;
}

function wrongSuccess({ answer, document, operation, input }: Judged): string | null {
  const { status, headers, body } = answer;
  if (status >= 300) return `It answers ${status}.`;
  if (isOtherMethod(operation, input)) return null;
  const type = mediaType(headers);
  const schema = operation.responses[String(status)]?.content?.[type]?.schema;
  if (!schema) return isOtherAddress(operation, input) ? null : `The document knows no answer ${status} of ${type}.`;
  if (type === "text/html") return wrongPage(answer);
  const value = jsonOf(body.toString("utf8"));
  if (value === undefined) return "The answer is no JSON.";
  const wrong = misfit(document, schema, value);
  return wrong === null || isOtherAddress(operation, input) ? null : `The answer does not fit the document at ${wrong}`;
}

/** Mutations of the address may lead to another operation, or to another method of this one. */
function isOtherAddress(operation: Operation, input: Input): boolean {
  const path = (input.bytes.subarray(0, 300).toString("latin1").split(" ")[1] ?? "").split("?")[0] ?? "";
  const form = new RegExp(`^${operation.path.replace(/\{\w+\}/g, "[^/]+")}$`);
  return !form.test(path) || (operation.path.endsWith("}") && path.endsWith("/groups")) || /%2e|\/\.\.?(\/|$)/i.test(path);
}

function isOtherMethod(operation: Operation, input: Input): boolean {
  return !input.bytes.subarray(0, 10).toString("latin1").startsWith(`${operation.method} `);
}

function wrongRefusal({ answer, operation, input }: Judged): string | null {
  const { status, headers, body } = answer;
  const type = mediaType(headers);
  if (isOfServer(answer, input)) return null;
  if (type === "text/html" && operation.path.startsWith("/approvals/")) return statuses.has(status) ? wrongPage(answer) : `It answers ${status}.`;
  if (isHead(input)) return statuses.has(status) && status < 500 ? null : `It answers ${status}.`;
  if (type !== "application/problem+json") return `A refusal of type ${type}: ${status} ${body.toString("utf8").slice(0, 300)}`;
  // It may say again what was asked for, though not all that was sent.
  const headBytes = input.bytes.indexOf("\r\n\r\n");
  if (body.length > 64 * 1024 + 4 * headBytes) return `A refusal tells ${body.length} bytes.`;
  return wrongProblem(answer, operation);
}

/** What workerd refuses before the Worker hears of it: broken HTTP, and heads that are too large. */
function isOfServer({ status, headers, body }: Answer, input: Input): boolean {
  // It fails over lengths and hosts that are none, and says no more than this.
  if (mediaType(headers) === "") return input.isBrokenHttp && ["Internal Server Error", "Bad Request", ""].includes(body.toString("utf8"));
  if (mediaType(headers) !== "text/plain") return false;
  return status === 431 ? input.bytes.length > 8_000 : input.isBrokenHttp && [400, 501].includes(status);
}

function wrongProblem({ status, headers, body }: Answer, operation: Operation): string | null {
  const problem = jsonOf(body.toString("utf8")) as Record<string, unknown> | undefined;
  const code = String(problem?.["code"]);
  if (!problem || !Object.hasOwn(faultCodes, code)) return `A refusal without a code of the table: ${body.toString("utf8").slice(0, 300)}`;
  const known = faultCodes[code as keyof typeof faultCodes];
  if (known.status !== status || problem["status"] !== status) return `${code} is answered as ${status}.`;
  if (problem["type"] !== `urn:segno:problem:${code}` || problem["title"] !== known.title) return `${code} has another type or title.`;
  if (typeof problem["detail"] !== "string" || typeof problem["instance"] !== "string") return `${code} has no detail or instance.`;
  if (headers["cache-control"] !== "no-store") return `${code} may be cached.`;
  if (status < 500) return null;
  return isExpected(code, operation) ? null : `It answers ${status} ${code}: ${String(problem["detail"])}`;
}

/** A callback may name a secret that is not set; Slack is answered within its three seconds, whatever happens. */
function isExpected(code: string, { path }: Operation): boolean {
  return (code === "not_configured" && path.startsWith("/callbacks")) || (code === "overloaded" && path.startsWith("/slack"));
}

const statuses: ReadonlySet<number> = new Set(Object.values(faultCodes).map(({ status }) => status as number));

const markup = /<script|<img|<i>|<b>|onerror=alert\(1\)>/i;

/** Whatever comes from a run or a caller is text on a page. */
function wrongPage({ headers, body }: Answer): string | null {
  const found = markup.exec(body.toString("utf8"));
  if (found) return `The page holds ${found[0]} as markup.`;
  if (!headers["content-security-policy"]?.includes("default-src 'none'")) return "The page has no policy.";
  if (headers["referrer-policy"] !== "no-referrer" || headers["cache-control"] !== "no-store") return "The page may leak its address.";
  return null;
}

export function isHead(input: Input): boolean {
  return input.bytes.subarray(0, 5).toString("latin1") === "HEAD ";
}

function mediaType(headers: Answer["headers"]): string {
  return (headers["content-type"] ?? "").split(";")[0]?.trim() ?? "";
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
