import { expect, test } from "vitest";
import { faultCodeOf } from "#core/fault.ts";
import { parseRunQuery } from "#visibility/query.ts";

function parse(text: string): ReturnType<typeof parseRunQuery> {
  return parseRunQuery(new URLSearchParams(text), "default");
}

function refusal(text: string): unknown {
  try {
    return { accepted: parse(text) };
  } catch (error) {
    if (!(error instanceof Error && "details" in error)) throw error;
    return { code: faultCodeOf(error), details: error.details };
  }
}

test("a list's query string becomes a query", () => {
  const text =
    "workflow=onboarding&status=failed,waiting&attr.amount=gte:1000&attr.amount=lt:2000&attr.tier=enterprise&text=acme&sort=-updatedAt&limit=20" +
    "&cursor=abc&createdAfter=2026-01-01T00:00:00Z&createdBefore=1767312000000&endedAfter=2026-01-01&reason=timeout&version=2";

  expect(parse(text)).toEqual({
    namespace: "default",
    workflow: "onboarding",
    status: ["failed", "waiting"],
    reason: "timeout",
    version: "2",
    createdAfter: Date.UTC(2026, 0, 1),
    createdBefore: Date.UTC(2026, 0, 2),
    endedAfter: Date.UTC(2026, 0, 1),
    text: "acme",
    sort: { field: "updatedAt", direction: "desc" },
    limit: 20,
    cursor: "abc",
    attributes: [
      { name: "amount", op: "gte", value: 1000 },
      { name: "amount", op: "lt", value: 2000 },
      { name: "tier", op: "eq", value: "enterprise" },
    ],
  });
  expect(parse("")).toEqual({ namespace: "default" });
});

test.each([
  ["enterprise", "eq", "enterprise"],
  ["ne:enterprise", "ne", "enterprise"],
  ["lte:-2.5e3", "lte", -2500],
  ["0", "eq", 0],
  ["true", "eq", true],
  ["ne:false", "ne", false],
  ["True", "eq", "True"],
  ["01234", "eq", "01234"],
  ['"1234"', "eq", "1234"],
  ['gt:"1234"', "gt", "1234"],
  ['"true"', "eq", "true"],
  ['""', "eq", ""],
  ['"say "hi""', "eq", 'say "hi"'],
  ["eq:gte:5", "eq", "gte:5"],
  ['"gte:5"', "eq", "gte:5"],
  ["urn:acme:5", "eq", "urn:acme:5"],
  ["1,000", "eq", "1,000"],
  ["Infinity", "eq", "Infinity"],
  ["0x10", "eq", "0x10"],
  ["gte:2026-01-01", "gte", Date.UTC(2026, 0, 1)],
  ["lt:2026-01-01T02:00:00+02:00", "lt", Date.UTC(2026, 0, 1)],
  ['"2026-01-01"', "eq", "2026-01-01"],
  ["line one\nline two", "eq", "line one\nline two"],
])("the attribute value %s is compared by %s with %j", (text, op, value) => {
  const params = new URLSearchParams({ "attr.it": text });

  expect(parseRunQuery(params, "default").attributes).toEqual([{ name: "it", op, value }]);
});

test.each([
  ["colour=red", "colour"],
  ["namespace=other", "namespace"],
  ["__proto__=1", "__proto__"],
  ["constructor=1", "constructor"],
  ["status=sleeping", "status"],
  ["status=", "status"],
  ["workflow=", "workflow"],
  ["text=", "text"],
  [`text=${"x".repeat(513)}`, "text"],
  ["sort=name", "sort"],
  ["sort=--createdAt", "sort"],
  ["limit=0", "limit"],
  ["limit=201", "limit"],
  ["limit=1.5", "limit"],
  ["limit=ten", "limit"],
  ["limit=5&limit=6", "limit"],
  ["createdAfter=yesterday", "createdAfter"],
  ["createdAfter=2026", "createdAfter"],
  ["createdAfter=1767225600", "createdAfter"],
  ["createdAfter=2026-02-30", "createdAfter"],
  ["createdAfter=2026-01-01T00:00:00", "createdAfter"],
  ["createdAfter=2026-01-01T00:00:00+02:00", "createdAfter"],
  ["attr.=5", "attr."],
  ["attr.a'b=5", "attr.a'b"],
  ["attr.vip=gt:true", "attr.vip"],
  ["attr.tier=", "attr.tier"],
  ["attr.tier=gte:", "attr.tier"],
  ['attr.tier="open', "attr.tier"],
  ["attr.amount=1e999", "attr.amount"],
  ["attr.day=2026-02-30", "attr.day"],
  ["attr.day=2026-01-01T00:00:00", "attr.day"],
  [`attr.tier=${"x".repeat(513)}`, "attr.tier"],
  [Array.from({ length: 11 }, (_, place) => `attr.a${place}=1`).join("&"), "attr"],
])("?%s is refused, and the refusal names the parameter", (text, path) => {
  expect(refusal(text)).toMatchObject({ code: "invalid_request", details: { path } });
});
