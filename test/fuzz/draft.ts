import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { durationMs } from "#core/duration.ts";
import { limits } from "#core/limits.ts";
import { signToken } from "#objects/callback-token.ts";
import { type Document, type Operation, resolved, type Schema } from "./document.ts";
import { type Json, jsonOf, Members, placesOf, textOf } from "./json.ts";
import { nastyEncoded, nastyJson, nastyName, nastyText } from "./nasty.ts";
import type { Random } from "./random.ts";
import { type Kind, kinds, type Secrets, stepsOf, type Target, type Victim } from "./world.ts";

/** One input: a request as bytes, and what is known of it. */
export interface Input {
  readonly bytes: Buffer;
  /** The run of ours that it names; null: none, or it is not ours. */
  readonly target: Target | null;
  /** The id of a foreign run that it names by a key that does not open it. */
  readonly foreignId: string | null;
  /** The id, used by no other input, that a start or a fork asks for. */
  readonly newId: string | null;
  /** A token that was not made by Segno. */
  readonly hasForgedToken: boolean;
  /** Not HTTP as it should be: workerd itself may refuse it. */
  readonly isBrokenHttp: boolean;
  /** Asks for an answer that may take long; ours is to hang up. */
  readonly hangUpAfterMs: number | null;
  /** It was not sent whole, so nothing may come of it. */
  readonly isCutOff: boolean;
}

/** What inputs are made from. */
export interface Surroundings {
  readonly document: Document;
  readonly secrets: Secrets;
  readonly victims: readonly Victim[];
  /** Cursors of lists, by operation. */
  readonly cursors: ReadonlyMap<string, readonly string[]>;
  readonly fingerprint: string;
  readonly label: string;
  readonly target: (kind: Kind) => Promise<Target>;
}

type Aim = "own" | "foreign" | "stranger" | "unknown";

interface Draft {
  readonly random: Random;
  readonly operation: Operation;
  readonly around: Surroundings;
  readonly aim: Aim;
  readonly kind: Kind;
  readonly runId: string;
  readonly target: Target | null;
  readonly victim: Victim | null;
  method: string;
  path: string;
  query: [string, string][];
  headers: [string, string][];
  body: Buffer | null;
  newId: string | null;
  hasForgedToken: boolean;
  isBrokenHttp: boolean;
  hangUpAfterMs: number | null;
  isCutOff: boolean;
}

/** The input of that random. */
export async function makeInput(random: Random, operation: Operation, around: Surroundings): Promise<Input> {
  const draft = await newDraft(random, operation, around);
  if (operation.path.includes("{token}")) aimToken(draft);
  else draft.path = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => encodeText(pathValue(draft, name)));
  addParameters(draft);
  addBody(draft);
  addKey(draft);
  if (random.chance(0.08)) mutatePath(draft);
  if (random.chance(0.12)) mutateHeaders(draft);
  limitWait(draft);
  const bytes = rendered(draft);
  const isByToken = operation.path.includes("{token}") || operation.path.startsWith("/slack");
  // Dots in the address may take the name out of it again.
  const address = URL.parse(draft.path, "http://segno.test")?.pathname ?? "";
  const namesVictim = !isByToken && draft.victim !== null && address.includes(draft.victim.id);
  return { ...draft, bytes, foreignId: namesVictim ? draft.runId : null };
}

async function newDraft(random: Random, operation: Operation, around: Surroundings): Promise<Draft> {
  const kind = random.weighted(kindsFor(operation));
  const namesRun = /\{(id|runId)\}/.test(operation.path);
  const byToken = operation.path.includes("{token}") || operation.path.startsWith("/slack");
  const aim = random.weighted<Aim>(
    namesRun ? { own: 70, foreign: 10, stranger: 8, unknown: 6 } : byToken ? { own: 75, foreign: 25 } : { own: 90, stranger: 8 },
  );
  const victims = around.victims.filter((victim) => aim === "foreign" && (victim.kind === kind || !byToken));
  const victim = victims.length > 0 ? random.pick(victims) : null;
  const needsTarget = aim === "own" && (namesRun || byToken);
  const target = needsTarget ? await around.target(kind) : null;
  const runId = victim?.id ?? target?.id ?? (aim === "stranger" ? random.pick(around.victims).id : `unknown-${random.below(5)}`);
  const draft: Draft = {
    random,
    operation,
    around,
    aim,
    kind: victim?.kind ?? kind,
    runId,
    target,
    victim,
    method: operation.method,
    path: operation.path,
    query: [],
    headers: [["host", "segno.test"]],
    body: null,
    newId: null,
    hasForgedToken: false,
    isBrokenHttp: false,
    hangUpAfterMs: null,
    isCutOff: false,
  };
  return draft;
}

function kindsFor({ path }: Operation): Partial<Record<Kind, number>> {
  if (path.includes("dead-letters")) return { parks: 7, waits: 1, many: 1 };
  if (path.includes("approvals") || path.startsWith("/slack")) return { approved: 1 };
  if (path.startsWith("/callbacks")) return { "called-back": 1 };
  if (path.includes("/events/")) return { waits: 8, sleeps: 1, many: 1 };
  return { waits: 3, "called-back": 2, approved: 2, parks: 4, sleeps: 1, many: 2 };
}

// Addresses.

function encodeText(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

function pathValue(draft: Draft, name: string): string {
  const { random, operation, kind } = draft;
  if (random.chance(0.08)) return nastyText(random) || "-";
  if (name === "id" || name === "runId") return draft.runId;
  if (name === "key") return random.chance(0.9) ? random.pick(stepsOf[kind]) : random.pick(kinds.flatMap((it) => stepsOf[it]));
  if (operation.path.includes("/events/")) return random.pick(["go", "go", "go", "other"]);
  return random.pick(["echo", "echo", "echo", "strict", "strict", "thrower", ...kinds, "constructor", "unknown"]);
}

const pathMutations: readonly ((path: string, random: Random) => string)[] = [
  (path) => `${path}/`,
  (path) => `/${path}`,
  (path) => path.toUpperCase(),
  (path) => path.replace(/\/([^/]*)$/, "%2F$1"),
  (path) => path.replace(/\/([^/]*)$/, "%2f..%2f$1"),
  (path) => `${path}%00`,
  (path) => `${path}%`,
  (path) => `${path}%zz`,
  (path) => `${path}%C3`,
  (path) => `${path}%ED%A0%80`,
  (path) => `${path}%FF%FE`,
  (path) => `${path}/..`,
  (path) => `${path}/../../v1/runs`,
  (path) => `${path};a=b`,
  (path) => `${path}?`,
  (path) => `${path}?x`,
  (path) => `${path}?%`,
  (path) => `${path}?a=%E0%A4%A`,
  (path) => `${path}?=`,
  (path) => `${path}?__proto__=1&constructor=2`,
  (path, random) => `${path}${"a".repeat(random.pick([101, 300, 600, 5000]))}`,
  (path, random) => `${path}?text=${"%61".repeat(random.pick([513, 2000]))}`,
  (path, random) => {
    const at = random.below(path.length) + 1;
    return `${path.slice(0, at)}${random.pick(["%00", "%0d%0a", "/", "//", "%252F", "..", "%2e", "+", "%20", "@", ":", "&", "=", "~"])}${path.slice(at)}`;
  },
  (path, random) => {
    const at = random.below(path.length - 1) + 1;
    return path.slice(0, at) + path.slice(at + 1);
  },
  (path) => encodeURI(path).replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`),
];

function mutatePath(draft: Draft): void {
  // A token's path, changed so that it means the same, would not be a forged one.
  if (draft.operation.path.includes("{token}") && draft.aim === "foreign") return;
  draft.path = draft.random.pick(pathMutations)(draft.path, draft.random);
  // It may lead elsewhere, where no token is asked for.
  draft.hasForgedToken = false;
  if (!draft.path.startsWith("/")) draft.isBrokenHttp = true;
  if (draft.random.chance(0.1)) {
    draft.method = draft.random.pick(["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "POST", "TRACE"]);
  }
}

// Tokens.

function aimToken(draft: Draft): void {
  const { random, operation } = draft;
  const token = ownToken(draft);
  const isOwn = draft.aim === "own" && random.chance(0.8);
  const sent = isOwn ? token : forged(draft, token);
  draft.hasForgedToken = sent !== token;
  draft.path = operation.path.replace("{token}", encodeText(sent));
}

const assignees = ["ada", "bob", "cy", "<i>eve</i>"];

/** A token that Segno made, or would make, for the run that the draft is about. */
function ownToken(draft: Draft): string {
  const { random, operation, kind, runId, victim, around } = draft;
  const namespace = victim?.namespace === "b" ? "b" : "default";
  if (operation.path.startsWith("/callbacks")) return (victim ?? draft.target)?.tokens.get(random.pick(stepsOf["called-back"])) ?? "none";
  const key = random.pick(stepsOf[kind]);
  return signToken(around.secrets.secret, "approval", { namespace, runId, key, expiresAt: null, assignee: random.pick(assignees) });
}

function forged(draft: Draft, token: string): string {
  const { random, around, runId } = draft;
  const at = random.below(token.length);
  const character = random.pick([..."ABCabc019-_.+/= \u0000é"]);
  const claims = { namespace: "b", runId, key: "plain", expiresAt: null };
  const [body = "", signature = ""] = token.split(".");
  const made = [
    () => token.slice(0, at) + character + token.slice(at + 1),
    () => token.slice(0, at) + token.slice(at + 1),
    () => token.slice(0, at) + character + token.slice(at),
    () => token.slice(0, at),
    () => token + character,
    () => character + token,
    () => `${token}.`,
    () => `${token}.${signature}`,
    () => `${body}=.${signature}=`,
    () => `${body}.${signature.slice(0, -1)}${nextCharacter(signature.at(-1) ?? "A")}`,
    () => `${signature}.${body}`,
    () => `${body}.`,
    () => `.${signature}`,
    () => token.toUpperCase(),
    () => signToken("segno-dev-secret-not-for-production", "callback", claims),
    () => signToken("", "approval", { ...claims, assignee: "ada" }),
    () => signToken(around.secrets.secret, draft.operation.path.startsWith("/callbacks") ? "approval" : "callback", claims),
    () => `${Buffer.from(JSON.stringify(["b", runId, "plain", null])).toString("base64url")}.${signature}`,
    () => nastyText(random) || "-",
  ];
  const text = random.pick(made)();
  return text === token ? `${token}x` : text;
}

/** The last character of a signature has two bits that say nothing. */
function nextCharacter(character: string): string {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return alphabet[(alphabet.indexOf(character) + 1) % 64] ?? "A";
}

// Parameters and headers.

function addParameters(draft: Draft): void {
  const { random, operation } = draft;
  const inputs = operation.parameters.filter((parameter) => parameter.in !== "path");
  for (const { name, in: where, schema } of inputs) {
    if (!random.chance(where === "header" ? 0.4 : 0.25)) continue;
    const value = random.chance(where === "header" ? 0.92 : 0.75) ? fitParameter(draft, name, schema) : nastyText(random);
    if (where === "header") draft.headers.push([name, headerText(value)]);
    else draft.query.push([name, value]);
  }
  if (operation.method === "GET" && /runs$|dead-letters/.test(operation.path) && random.chance(0.3)) draft.query.push(attributeParameter(random));
  if (random.chance(0.03)) draft.query.push([random.chance(0.5) ? nastyName(random) : "unknown", nastyText(random)]);
  const again = draft.query[0];
  if (again && random.chance(0.03)) draft.query.push(again);
}

/** A header's value: its bytes, one a character, without those that no header may have. */
function headerText(text: string): string {
  return String.fromCharCode(...Buffer.from(text).filter((byte) => byte >= 0x20 && byte !== 0x7f));
}

function attributeParameter(random: Random): [string, string] {
  const name = random.pick(["customer", "seats", "kind", "kind", "__proto__", "constructor", "", "a b", "x".repeat(65)]);
  const operator = random.pick(["", "", "eq:", "ne:", "gt:", "gte:", "lt:", "lte:", "xx:"]);
  return [`attr.${name}`, operator + random.pick(["parks", "1", "1e400", "true", '"parks"', '"', "", "2026-01-01", "2026-13-01", nastyText(random)])];
}

function fitParameter(draft: Draft, name: string, schema: Schema): string {
  const { random, around, operation } = draft;
  const fits: Readonly<Record<string, readonly string[]>> = {
    workflow: [...kinds, "echo"],
    status: ["waiting", "paused,failed", "completed", "running,queued,waiting,blocked,compensating,paused"],
    reason: ["event", "step_failed"],
    version: ["1", "2"],
    step: ["go", "remote", "first#2"],
    fingerprint: [around.fingerprint],
    text: ["victim", around.secrets.markerB.slice(0, 6), "a"],
    cursor: around.cursors.get(operation.path) ?? [""],
    limit: ["1", "2", "200", "201", "0"],
    after: ["0", "1", "3", "999999999999999"],
    wait: ["0", "5", "10ms", "60s"],
    assignee: assignees,
    overdue: ["true", "false"],
    runs: ["1", "50", "51"],
    "idempotency-key": [`k-${around.label}-${random.below(20)}`, "a"],
  };
  if (/(After|Before)$/.test(name))
    return random.pick(["2026-01-01", "2030-01-01T00:00:00Z", String(Date.UTC(2026, 0)), "999999999999999", "0", "2026-01-01T00:00:00+01:00"]);
  return random.pick(fits[name] ?? (schema.enum as readonly string[] | undefined) ?? ["a"]);
}

function addKey(draft: Draft): void {
  const { random, aim, victim, around } = draft;
  const { keyA, keyB } = around.secrets;
  const isPublic = !draft.operation.path.startsWith("/v1");
  if (isPublic && random.chance(0.7)) return;
  if (aim === "stranger") {
    const wrong = [
      null,
      "Bearer",
      "Bearer ",
      "Bearer x",
      `Bearer ${keyA}x`,
      `Bearer ${keyA.slice(0, -1)}`,
      `Basic ${keyA}`,
      `Bearer ${keyA} ${keyA}`,
      `Bearer ${"k".repeat(9000)}`,
    ];
    const value = random.pick([
      ...wrong,
      `Bearer ${keyA.toUpperCase()}`,
      "Bearer segno-dev-key",
      `Bearer ${keyA}, Bearer ${keyA}`,
      `Bearer ${" ".repeat(3000)}`,
    ]);
    if (value !== null) draft.headers.push(["authorization", value]);
    else if (random.chance(0.5)) draft.headers.push(["x-api-key", random.pick(["", "x", `${keyA},${keyB}`, keyA.slice(1)])]);
    return;
  }
  const key = victim?.namespace === "a" ? keyB : keyA;
  if (random.chance(0.9)) draft.headers.push(["authorization", `${random.pick(["Bearer", "bearer", "BEARER"])} ${key}`]);
  else draft.headers.push(["x-api-key", key]);
}

const oddHeaders: readonly (readonly [string, string])[] = [
  ["x-namespace", "b"],
  ["x-segno-namespace", "b"],
  ["namespace", "b"],
  ["x-http-method-override", "DELETE"],
  ["x-forwarded-host", "evil.example"],
  ["x-original-url", "/healthz"],
  ["x-rewrite-url", "/v1/workflows"],
  ["forwarded", "host=evil.example"],
  ["cf-connecting-ip", "127.0.0.1"],
  ["cf-worker", "x"],
  ["range", "bytes=0-1"],
  ["if-none-match", "*"],
  ["if-match", '"x"'],
  ["accept", "*/*"],
  ["accept", "application/json;q=0"],
  ["accept", "text/html;q=0.1, application/json;q=x"],
  ["accept", "\u00ff\u00fe"],
  ["accept", ",;=,,"],
  ["accept-encoding", "gzip, br"],
  ["accept-encoding", "identity;q=0"],
  ["accept-language", "*"],
  ["cookie", "a=b; __proto__=1"],
  ["origin", "null"],
  ["referer", "javascript:alert(1)"],
  ["content-encoding", "gzip"],
  ["content-language", "xx"],
  ["host", "evil.example"],
  ["host", "segno.test:99999"],
  ["host", "[::1"],
  ["host", "a b"],
  ["host", ""],
  ["connection", "upgrade"],
  ["upgrade", "websocket"],
  ["upgrade", "h2c"],
  ["te", "trailers"],
  ["expect", "100-continue"],
  ["expect", "nonsense"],
  ["idempotency-key", ""],
  ["idempotency-key", "x".repeat(256)],
  ["accept-values", "devalue"],
  ["accept-values", "devalue, json"],
  ["content-values", "devalue"],
  ["content-values", "DEVALUE"],
  ["x-api-key", "segno-dev-key"],
  ["x-long", "x".repeat(20_000)],
  ["traceparent", "00-x"],
];

function mutateHeaders(draft: Draft): void {
  const { random } = draft;
  const [name, value] = random.pick(oddHeaders);
  if (random.chance(0.5)) draft.headers = draft.headers.filter(([known]) => known !== name);
  draft.headers.push([name, value]);
  if (["host", "expect", "upgrade", "connection", "x-long", "content-encoding"].includes(name)) draft.isBrokenHttp = true;
}

/** Inputs do not wait for long: what would take its time is given up by the caller. */
function limitWait(draft: Draft): void {
  for (const [name, value] of draft.query) {
    if (name !== "wait") continue;
    try {
      if (durationMs((/^\d+$/.test(value) ? Number(value) : value) as number) > 100) draft.hangUpAfterMs = 120;
    } catch {
      // It will be refused.
    }
  }
}

// Bodies.

const typesOfJson = ["application/json", "application/json; charset=utf-8", "application/vnd.a+json", "APPLICATION/JSON"];
const otherTypes = [
  "text/plain",
  "application/json; charset=utf-16",
  "application/x-www-form-urlencoded",
  "multipart/form-data; boundary=x",
  "multipart/form-data",
  "application/octet-stream",
  "",
  ";",
  "application/",
  `application/${"a".repeat(3000)}+json`,
  "application/json, text/plain",
  "application/jsonp",
];

function addBody(draft: Draft): void {
  const { random, operation } = draft;
  if (operation.path === "/slack/interactions") return addSlack(draft);
  if (operation.method === "GET") {
    if (random.chance(0.02)) draft.body = Buffer.from(nastyText(random));
    return;
  }
  if (operation.path.startsWith("/callbacks")) addCallback(draft);
  else if (operation.path.startsWith("/approvals")) addLinkDecision(draft);
  else addJson(draft, fitBody(draft));
  mutateBytes(draft);
  if (operation.path.startsWith("/callbacks") && random.chance(0.8)) signCallback(draft);
}

function addJson(draft: Draft, json: Json): void {
  const { random } = draft;
  const mutations = random.pick([0, 0, 0, 1, 1, 1, 2, 3]);
  const root = { json };
  for (let i = 0; i < mutations; i++) mutateJson(random, root);
  draft.body = random.chance(0.02) ? null : Buffer.from(textOf(root.json));
  if (random.chance(0.96)) draft.headers.push(["content-type", random.chance(0.9) ? (typesOfJson[0] as string) : random.pick(typesOfJson)]);
  else if (random.chance(0.8)) draft.headers.push(["content-type", random.pick(otherTypes)]);
}

function mutateJson(random: Random, root: { json: Json }): void {
  const places = placesOf(root.json);
  const place = places.length > 0 && random.chance(0.9) ? random.pick(places) : null;
  if (!place) {
    if (root.json instanceof Members && random.chance(0.5)) root.json.entries.push([nastyName(random), nastyJson(random)]);
    else root.json = nastyJson(random);
    return;
  }
  const { owner, index } = place;
  const change = random.weighted({ replace: 8, wrap: 1, drop: owner ? 2 : 0, rename: owner ? 1 : 0, repeat: owner ? 1 : 0, add: owner ? 2 : 0 });
  if (change === "replace") place.set(nastyJson(random));
  else if (change === "wrap") place.set([place.get()]);
  else if (change === "drop") owner?.entries.splice(index, 1);
  else if (change === "rename" && owner?.entries[index]) owner.entries[index][0] = nastyName(random);
  else if (change === "repeat" && owner?.entries[index]) owner.entries.push([owner.entries[index][0], nastyJson(random)]);
  else owner?.entries.push([nastyName(random), nastyJson(random)]);
}

function fitBody(draft: Draft): Json {
  const { random, operation, around } = draft;
  if (!operation.body) return jsonOf({});
  const json = fitValue(draft, operation.body, "");
  if (!(json instanceof Members)) return json;
  // The id is told to nobody else, so that what came of this input can be seen.
  const id = json.entries.find(([name]) => name === "id");
  if (id && !operation.path.includes("/events/")) {
    id[1] = random.chance(0.8) ? `new-${around.label}` : random.pick([draft.runId, "victim-a-waits", nastyText(random)]);
    if (id[1] === `new-${around.label}`) draft.newId = id[1];
  }
  return json;
}

function fitValue(draft: Draft, reference: Schema, name: string): Json {
  const { random, around } = draft;
  const schema = resolved(around.document, reference);
  const hint = fitMember(draft, name);
  if (hint !== undefined) return hint;
  if (schema.const !== undefined) return jsonOf(schema.const);
  if (schema.enum) return jsonOf(random.pick(schema.enum));
  const variants = schema.anyOf ?? schema.oneOf;
  if (variants) return fitValue(draft, random.pick(variants), name);
  const type = [schema.type ?? []].flat()[0];
  if (type === "string") return "text".repeat(1 + random.below(3));
  if (type === "number" || type === "integer") return (schema.minimum ?? 0) + random.below(10);
  if (type === "boolean") return random.chance(0.5);
  if (type === "array") return Array.from({ length: random.below(3) }, () => fitValue(draft, schema.items ?? {}, name));
  if (type !== "object") return random.chance(0.5) ? nastyJson(random) : jsonOf({ n: 1 });
  const members = Object.entries(schema.properties ?? {})
    .filter(([member]) => schema.required?.includes(member) || random.chance(0.4))
    .map(([member, inner]): [string, Json] => [member, fitValue(draft, inner, member)]);
  if (typeof schema.additionalProperties === "object" && random.chance(0.5)) {
    for (let i = random.below(3); i > 0; i--) members.push([`m${i}`, fitValue(draft, schema.additionalProperties, "")]);
  }
  return new Members(members);
}

/** What a member of that name is good for in the state that the run stands in. */
function fitMember(draft: Draft, name: string): Json | undefined {
  const { random, operation, kind, around } = draft;
  const isEncoded = draft.headers.some(([header, value]) => header === "content-values" && value === "devalue");
  if (["input", "output", "payload", "form"].includes(name) && isEncoded && name !== "form") return nastyEncoded(random);
  switch (name) {
    case "expectedSeq":
      return random.chance(0.3) ? (draft.target?.seq ?? 4) : random.pick([0, 1, 4, 1_000_000]);
    case "step":
    case "from":
      return random.pick(stepsOf[kind]);
    case "version":
      return random.pick(["1", "1", "2", "9"]);
    case "actor":
      return random.pick(assignees);
    case "delay":
      return random.pick<Json>([0, 1, "1s", "300d", 5]);
    case "attributes":
      return jsonOf(random.pick([{}, { tier: "gold" }, { customer: nastyText(random), n: 5, is: true }, { "a.b-c": "\ud800" }]));
    case "filter":
      return jsonOf({ "attr.kind": "parks", ...(random.chance(0.3) && { workflow: "parks" }), ...(random.chance(0.3) && { text: nastyText(random) }) });
    case "cursor":
      return random.pick(around.cursors.get("/v1/dead-letters") ?? [""]);
    case "payload":
      return random.chance(0.4) ? jsonOf({ n: 1 }) : nastyJson(random);
    case "input":
      return operation.path.includes("workflows")
        ? random.pick<Json>([jsonOf({ customer: "acme" }), jsonOf({ customer: "acme", seats: 2 }), nastyJson(random)])
        : jsonOf(random.pick<unknown>([{ ok: true }, { ok: false }, { ok: 5 }]));
    case "form":
      return fitForm(random);
    default:
      return undefined;
  }
}

function fitForm(random: Random): Json {
  return jsonOf(
    random.pick<unknown>([undefined, 1, { plan: "small", seats: 2, note: null, ok: true }, { plan: "tiny", seats: 1e9, note: "x".repeat(51), ok: "yes" }, {}]),
  );
}

// Bodies that are no JSON of the document's.

function formText(random: Random, fields: readonly (readonly [string, string])[]): Buffer {
  const sent = fields.filter(() => random.chance(0.95)).map(([name, value]) => `${encodeText(name)}=${encodeText(value)}`);
  if (random.chance(0.1))
    sent.push(random.pick(["&&&", "=", "%", "a=%ff", "%00=%00", "__proto__=1", sent[0] ?? "x", "form.__proto__=1", "form.constructor=2"]));
  return Buffer.from(sent.join("&"));
}

function addCallback(draft: Draft): void {
  const { random } = draft;
  const kind = random.weighted({ json: 6, form: 2, none: 1 });
  if (kind === "json") addJson(draft, random.chance(0.5) ? jsonOf({ n: random.below(9) }) : nastyJson(random));
  if (kind !== "form") return;
  draft.body = formText(random, [
    ["n", "1"],
    [nastyName(random), nastyText(random)],
    ["n", "2"],
  ]);
  draft.headers.push(["content-type", "application/x-www-form-urlencoded"]);
}

function signCallback(draft: Draft): void {
  const { headers } = signedCallback(draft.around.secrets, draft.body ?? Buffer.alloc(0));
  const odd: readonly [string, string][] = [
    ["x-signature", "zz"],
    ["x-signature", ""],
    ["x-signature", "00".repeat(5000)],
    ["webhook-timestamp", "NaN"],
    ["webhook-timestamp", "9".repeat(30)],
    ["webhook-signature", "v1,"],
    ["webhook-signature", "v1"],
    ["webhook-signature", "v1,!!! v2,x  ,,"],
    ["webhook-id", "a.b"],
  ];
  draft.headers.push(...Object.entries(headers));
  if (draft.random.chance(0.2)) draft.headers.push(draft.random.pick(odd));
}

/** The headers that both schemes ask for. */
export function signedCallback(secrets: Secrets, body: Buffer): { headers: Record<string, string> } {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const standard = createHmac("sha256", Buffer.from(secrets.standard.slice("whsec_".length), "base64"))
    .update(`msg.${timestamp}.`)
    .update(body)
    .digest("base64");
  return {
    headers: {
      "x-signature": createHmac("sha256", secrets.hmac).update(body).digest("hex"),
      "webhook-id": "msg",
      "webhook-timestamp": timestamp,
      "webhook-signature": `v1,${standard}`,
    },
  };
}

function addLinkDecision(draft: Draft): void {
  const { random } = draft;
  if (random.chance(0.4)) draft.headers.push(["accept", random.pick(["application/json", "text/html", "text/html, application/json;q=0.9"])]);
  const decision = random.chance(0.85) ? random.pick(["approved", "approved", "rejected"]) : nastyText(random);
  const comment = random.chance(0.5) ? '"><script>alert(1)</script></textarea>' : nastyText(random);
  if (random.chance(0.4))
    return addJson(
      draft,
      new Members([["decision", decision], ["comment", comment], ...(random.chance(0.6) ? [["form", fitForm(random)] as [string, Json]] : [])]),
    );
  const value = (...fits: string[]): string => (random.chance(0.8) ? random.pick(fits) : nastyText(random));
  draft.body = formText(random, [
    ["decision", decision],
    ["comment", comment],
    ["form", value("1", "1.5", "0x10")],
    ["form.plan", value('"small"', '"large"', "small")],
    ["form.seats", value("1", "500", "501", "1e2", "Infinity")],
    ["form.note", value("", "note")],
    ["form.ok", value("true")],
    ["form.share", value("", "0.5")],
    ["form.more", value("", "[]", '["a"]', "[1", "{}")],
  ]);
  draft.headers.push(["content-type", "application/x-www-form-urlencoded"]);
}

function addSlack(draft: Draft): void {
  const { random, around } = draft;
  const token = ownToken(draft);
  const isOwn = draft.aim === "own" && random.chance(0.8);
  const sent = isOwn ? token : forged(draft, token);
  draft.hasForgedToken = sent !== token;
  const interaction = jsonOf({
    type: "block_actions",
    user: { id: random.pick(["U1", "U2", "U3"]) },
    actions: [{ value: `${random.pick(["approved", "rejected", "approved", "approve", ""])}:${sent}` }],
    state: { values: { segno_comment: { segno_comment: { value: random.chance(0.5) ? nastyText(random) : null } } } },
    response_url: random.pick(["http://127.0.0.1:1/", "https://hooks.slack.com.evil.example/", "javascript:1", ""]),
  });
  const root = { json: interaction };
  for (let i = random.pick([0, 0, 0, 1, 2]); i > 0; i--) mutateJson(random, root);
  draft.body = formText(random, [["payload", textOf(root.json)]]);
  draft.headers.push(["content-type", "application/x-www-form-urlencoded"]);
  mutateBytes(draft);
  const timestamp = String(Math.floor(Date.now() / 1000) + random.pick([0, 0, 0, 0, 0, 0, 0, 0, -301, 302, 1e9]));
  const signature = createHmac("sha256", around.secrets.slack)
    .update(`v0:${timestamp}:`)
    .update(draft.body ?? Buffer.alloc(0))
    .digest("hex");
  draft.headers.push(["x-slack-request-timestamp", random.chance(0.95) ? timestamp : "x"]);
  draft.headers.push([
    "x-slack-signature",
    random.chance(0.93) ? `v0=${signature}` : random.pick(["", "v0=", `v1=${signature}`, `v0=${signature.toUpperCase()}`, `v0=${signature}00`]),
  ]);
}

// Bytes.

const odd = [0xff, 0xfe, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0x00, 0x22, 0x5c, 0xf4, 0x90];

const byteMutations: readonly ((bytes: Buffer, random: Random) => Buffer)[] = [
  (bytes, random) => {
    const flipped = Buffer.from(bytes);
    for (let i = random.below(3); i >= 0; i--) {
      const at = random.below(flipped.length);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
    }
    return flipped;
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  (bytes) => Buffer.concat([bytes, bytes]),
  (bytes, random) => {
    const at = random.below(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), Buffer.from([random.pick(odd), random.pick(odd)]), bytes.subarray(at)]);
  },
  (bytes) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]),
  (bytes) => Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(bytes.toString("utf8"), "utf16le")]),
  (bytes, random) => Buffer.concat([bytes, Buffer.from(random.pick([" ", "\n", "\u0000", "x", "{}", "//"]))]),
  (bytes) => Buffer.concat([Buffer.from(" ".repeat(5000)), bytes]),
];

function mutateBytes(draft: Draft): void {
  const { random } = draft;
  if (random.chance(0.0012)) draft.body = largeBody(random);
  else if (draft.body && draft.body.length > 0 && random.chance(0.1)) draft.body = random.pick(byteMutations)(draft.body, random);
}

const largeSizes = [limits.bodyBytes - 1, limits.bodyBytes, limits.bodyBytes + 1, 2 * limits.bodyBytes, limits.valueBytes];

function largeBody(random: Random): Buffer {
  const size = random.pick(largeSizes);
  const made = [
    () => Buffer.alloc(size, "a"),
    () => Buffer.concat([Buffer.from('{"input":"'), Buffer.alloc(size - 12, "a"), Buffer.from('"}')]),
    () => Buffer.alloc(size, "["),
    () => Buffer.from(`{"attributes":{${Array.from({ length: 100_000 }, (_, i) => `"a${i}":null`).join(",")}}}`),
    () => Buffer.from(`{${Array.from({ length: 100_000 }, (_, i) => `"a${i}":1`).join(",")}}`),
    () => Buffer.from(`{"input":[${"0,".repeat(1_000_000)}0]}`),
    () => Buffer.from(`{"filter":{"attr.kind":[${'"a",'.repeat(500_000)}"a"]},"action":"redrive"}`),
    () => Buffer.from(`n=1${"&n=1".repeat(500_000)}`),
  ];
  return random.pick(made)();
}

// The request as it is sent.

function targetText({ path, query }: Draft): string {
  const parameters = query.map(([name, value]) => `${encodeText(name)}=${encodeText(value)}`).join("&");
  const target = parameters === "" ? path : `${path}${path.includes("?") ? "&" : "?"}${parameters}`;
  return target.replaceAll(" ", "%20");
}

function rendered(draft: Draft): Buffer {
  const { random, headers, body, method } = draft;
  const head = (more: readonly (readonly [string, string])[]): Buffer => {
    const lines = [...headers, ...more].map(([name, value]) => `${name}: ${value}\r\n`);
    return Buffer.concat([Buffer.from(`${method} ${targetText(draft)} HTTP/1.1\r\n`), Buffer.from(`${lines.join("")}\r\n`, "latin1")]);
  };
  if (body === null) return head(draft.operation.method === "GET" && random.chance(0.9) ? [] : [["content-length", "0"]]);
  const framing = random.weighted({ length: 900, chunked: 80, stops: 8, halts: 4, longer: 4, shorter: 4, twice: 2, both: 2, negative: 2 });
  if (framing === "length") return Buffer.concat([head([["content-length", String(body.length)]]), body]);
  if (framing === "chunked") return Buffer.concat([head([["transfer-encoding", "chunked"]]), ...chunksOf(random, body), Buffer.from("0\r\n\r\n")]);
  draft.isBrokenHttp = true;
  if (framing === "stops" || framing === "halts" || framing === "longer") {
    draft.isCutOff = true;
    draft.hangUpAfterMs = framing === "halts" ? 60 : 15;
    if (framing === "longer") return Buffer.concat([head([["content-length", String(body.length + 1 + random.below(100))]]), body]);
    return Buffer.concat([head([["transfer-encoding", "chunked"]]), ...chunksOf(random, body)]);
  }
  // What follows is another request to the server, and nonsense.
  draft.hangUpAfterMs = 60;
  const lengths: Record<string, readonly (readonly [string, string])[]> = {
    shorter: [["content-length", String(Math.max(0, body.length - 1 - random.below(20)))]],
    twice: [
      ["content-length", String(body.length)],
      ["content-length", "0"],
    ],
    both: [
      ["content-length", "5"],
      ["transfer-encoding", "chunked"],
    ],
    negative: [["content-length", random.pick(["-1", "+5", "0x5", "1e3", "99999999999999999999", ""])]],
  };
  return Buffer.concat([head(lengths[framing] ?? []), body]);
}

function chunksOf(random: Random, body: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; ) {
    const size = Math.min(body.length - at, body.length > 100_000 ? 65_536 : 1 + random.below(200));
    parts.push(Buffer.from(`${size.toString(16)}\r\n`), body.subarray(at, at + size), Buffer.from("\r\n"));
    at += size;
  }
  return parts;
}
