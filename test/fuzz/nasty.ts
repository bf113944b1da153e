import { encode } from "#core/value.ts";
import { type Json, Members, Raw } from "./json.ts";
import type { Random } from "./random.ts";

/** What goes wrong elsewhere. */

const texts: readonly string[] = [
  ..." |null|undefined|NaN|Infinity|-Infinity|-0|1e999|0x10|1_000|٣|9007199254740993|true|[object Object]|__proto__|constructor|toString|hasOwnProperty".split(
    "|",
  ),
  "",
  "\u0000",
  "a\u0000b",
  "\u0001\u001f\u007f",
  "\r\nx-injected: yes",
  "\u202egnp.exe",
  "😀",
  "👩‍👩‍👧‍👦",
  "e\u0301\u0301\u0301",
  "\ud800",
  "\udc00tail",
  "head\ud83d",
  "\ufeff",
  "\uffff",
  "\u2028\u2029",
  "İıſK",
  "ﷺ".repeat(30),
  "<script>alert(1)</script>",
  '"><img src=x onerror=alert(1)>',
  "' OR 1=1 --",
  "%00",
  "%2e%2e%2f",
  "../../../etc/passwd",
  "{{7*7}}",
  "*",
  "%",
  "\\",
  "first#2",
  "go#1",
  "~first",
  "#",
  "a/b",
  "0",
  "-1",
  "1.5",
  "2026-02-30",
  "2026-01-01",
  "2026-01-01T00:00:00Z",
  "-271821-04-20T00:00:00Z",
  "+275760-09-13T00:00:00.001Z",
  "1s",
  "366d",
  "367d",
  "-1s",
  "1 month",
  "0.0000001ms",
  "1e3s",
  `${"9".repeat(400)}s`,
  `${" ".repeat(2000)}s`,
  `1${" ".repeat(2000)}x`,
  "999999999999999",
  "1000000000000000",
];

/** The limits of texts; each is tried at, past, and at twice its length. */
const lengths = [64, 100, 255, 256, 266, 512, 4000, 8192];

export function nastyText(random: Random): string {
  if (random.chance(0.75)) return random.pick(texts);
  const unit = random.pick(["a", "é", "😀", "0", " ", ".", "\u0000"]);
  return unit.repeat(random.pick(lengths) * random.pick([1, 1, 2]) + random.below(2));
}

const numbers: readonly Json[] = [
  0,
  new Raw("-0"),
  -1,
  1,
  1.5,
  199,
  200,
  201,
  2 ** 31,
  2 ** 53 - 1,
  2 ** 53,
  new Raw("9007199254740993"),
  1e21,
  1e308,
  5e-324,
  new Raw("1e999"),
  new Raw("-1e999"),
  new Raw("123456789012345678901234567890"),
  8.64e15,
  31_622_400_000,
  31_622_400_001,
];

/** No JSON. */
const malformed = ["NaN", "undefined", "Infinity", "01", "1.", ".5", "'a'", "[1,]", '{"a":1,}', '"\\x"', '"\u0001"', "{]", "", "/*c*/1", '"\\ud800"', "+1"].map(
  (text) => new Raw(text),
);

function nested(random: Random): Json {
  const depth = random.pick([10, 199, 200, 201, 1000, 20_000]);
  const [open, close] = random.pick([
    ["[", "]"],
    ['{"a":', "}"],
  ]) as [string, string];
  return new Raw(`${open.repeat(depth)}1${close.repeat(depth)}`);
}

export function nastyJson(random: Random): Json {
  const kind = random.weighted({ text: 8, number: 4, plain: 4, malformed: 1, nested: 1, members: 3, items: 1 });
  if (kind === "text") return nastyText(random);
  if (kind === "number") return random.pick(numbers);
  if (kind === "malformed") return random.pick(malformed);
  if (kind === "nested") return nested(random);
  if (kind === "items") return Array.from({ length: random.pick([0, 1, 3, 500]) }, () => random.pick<Json>([null, 0, "", [], nastyText(random)]));
  if (kind === "members") {
    return new Members(
      Array.from({ length: random.pick([0, 1, 2, 33, 40]) }, (_, index) => [random.chance(0.5) ? nastyName(random) : `m${index}`, nastyText(random)]),
    );
  }
  return random.pick<Json>([null, true, false, [], new Members([])]);
}

export function nastyName(random: Random): string {
  return random.pick(["__proto__", "constructor", "prototype", "toString", "valueOf", "toJSON", "then", "length", "", "a.b", "\u0000", "😀", "\ud800"]);
}

const cyclic: unknown[] = [];
cyclic.push(cyclic, new Map([["self", cyclic]]));

function chainOf(length: number): Error {
  let error = new Error("end");
  for (let i = 0; i < length; i++) error = new Error("link", { cause: error });
  return error;
}

/** Texts of the encoded form: fit ones, and such as only an enemy writes. */
const encodedTexts: readonly string[] = [
  ...[1, "text", null, undefined, new Date(0), new Date(Number.NaN), 10n ** 40n, new Map([[{}, 1]]), new Set([1]), new URL("http://a.example"), /a+/g].map(
    encode,
  ),
  ...[
    new Uint8Array(5),
    new Error("e", { cause: new TypeError("c") }),
    new AggregateError([new Error("part")], "m"),
    -0,
    Number.NaN,
    cyclic,
    chainOf(30),
    { n: 1 },
  ].map(encode),
  "[",
  "",
  "-1",
  "[1]",
  "[-7]",
  "[[1,2],3]",
  '[["Date","x"]]',
  '[["BigInt","x"]]',
  `[["BigInt","${"9".repeat(20_000)}"]]`,
  '[["RegExp","("]]',
  '[["RegExp","(a+)+$","g"]]',
  '[["Map",1,1],["Map",0,0]]',
  '[["Set",0]]',
  '[["null","__proto__",1],1]',
  '[{"__proto__":1},{"a":2},1]',
  '[{"constructor":1},{"prototype":2},1]',
  '[["Object",1],5]',
  '[["ArrayBuffer","!"]]',
  '[["Uint8Array",1],["ArrayBuffer","AAAA"]]',
  '[["Float64Array",1],["ArrayBuffer","AAAA"]]',
  '[["Temporal.PlainDate","2026-01-01"]]',
  '[["URLSearchParams","a=b"]]',
  '[["URL","nope"]]',
  '[["SegnoError",1]]',
  '[["SegnoError",1],null]',
  '[["SegnoError",1],5]',
  '[["SegnoError",1],{}]',
  '[["SegnoError",1],{"name":2,"message":2,"stack":2,"cause":2,"hasCause":3,"errors":2,"properties":4},[],true,{}]',
  '[["SegnoError",1],{"name":2,"message":2,"stack":-1,"cause":-1,"hasCause":3,"errors":-1,"properties":4},"E",false,{"message":5,"stack":5,"name":5,"cause":5},{"a":2}]',
  '[["SegnoError",1],{"name":2,"message":2,"stack":-1,"cause":0,"hasCause":3,"errors":-1,"properties":4},"E",true,{}]',
  '[["SegnoError",1],{"name":4,"message":2,"stack":-1,"cause":-1,"hasCause":3,"errors":-1,"properties":4},"E",false,{"code":2}]',
  '[["SegnoError",1],{"name":2,"message":2,"stack":-1,"cause":-1,"hasCause":3,"errors":-1,"properties":4},"E",false,{"code":4}]',
  '[["SegnoError",1],{"name":2,"message":2,"stack":-1,"cause":-1,"hasCause":3,"errors":5,"properties":4},"E",false,{},[0]]',
  '[["Unknown",1],1]',
  `[[${Array.from({ length: 3000 }, () => 1).join(",")}],[1]]`,
  "[[-7,4294967294,0,1],1]",
  "[[-7,10,3,1],1]",
];

export function nastyEncoded(random: Random): string {
  if (random.chance(0.06)) return deepErrors(random.pick([100, 1000, 3000]));
  if (random.chance(0.06)) return deepArrays(random.pick([190, 210, 5000]));
  return random.pick(encodedTexts);
}

/** Errors that are each other's cause, written by hand: an encoder would not come to an end of it. */
function deepErrors(depth: number): string {
  const fixed = ["E", true, {}];
  const parts: unknown[] = [];
  const base = depth * 2;
  for (let i = 0; i < depth; i++) {
    parts.push(["SegnoError", i * 2 + 1]);
    parts.push({ name: base, message: base, stack: -1, cause: i === depth - 1 ? base : (i + 1) * 2, hasCause: base + 1, errors: -1, properties: base + 2 });
  }
  return JSON.stringify([...parts, ...fixed]);
}

function deepArrays(depth: number): string {
  return JSON.stringify([...Array.from({ length: depth }, (_, i) => [i + 1]), 1]);
}
