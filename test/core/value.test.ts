import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Fault, faultCodeOf, faultCodes, invariant } from "#core/fault.ts";
import { redact } from "#core/redaction.ts";
import { decode, encode, encodeError, summarizeError, toJson, utf8Bytes } from "#core/value.ts";

const bytes = fc.uint8Array({ maxLength: 20 });
const leaf = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: "grapheme" }),
  fc.double(),
  fc.constantFrom(undefined, null, -0, Number.NaN, Number.NEGATIVE_INFINITY, true, "__proto__", "\ud800", "</script>", "\u2028"),
  fc.bigInt(),
  fc.date({ noInvalidDate: false }),
  fc.constantFrom(new URL("https://a.example/ü?q=1#f"), /a.\/"\nb/giu),
  bytes,
  bytes.map((it) => it.buffer.slice(0, it.byteLength)),
  bytes.map((it) => new Float64Array(it)),
  fc.bigInt({ min: 0n, max: 2n ** 63n }).map((it) => new BigInt64Array([it])),
);
const rich = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    leaf,
    fc.array(tie("any"), { maxLength: 5 }),
    fc.dictionary(
      fc.string().filter((key) => key !== "__proto__"),
      tie("any"),
      { maxKeys: 5, noNullPrototype: true },
    ),
    fc.array(fc.tuple(leaf, tie("any")), { maxLength: 4 }).map((entries) => new Map(entries)),
    fc.array(leaf, { maxLength: 4 }).map((items) => new Set(items)),
  ),
})).any;

describe("a value", () => {
  test("comes back as it was recorded, whatever plain data it is", () => {
    fc.assert(
      fc.property(rich, (value) => {
        const encoded = encode(value);
        expect(decode(encoded)).toStrictEqual(value);
        // SQLite stores UTF-8, where half a surrogate pair would be lost.
        expect(encoded.isWellFormed()).toBe(true);
        expect(encode(decode(encoded))).toBe(encoded);
      }),
      { numRuns: 2000 },
    );
  });

  test("may refer to itself, and keeps what is shared shared", () => {
    const loop = { name: "loop", map: new Map<string, unknown>(), list: [] as unknown[], self: null as unknown };
    loop.self = loop;
    loop.map.set("loop", loop);
    loop.list.push(loop, loop.map);
    const back = decode(encode(loop)) as typeof loop;
    expect(back.self).toBe(back);
    expect(back.map.get("loop")).toBe(back);
    expect(back.list).toEqual([back, back.map]);
  });

  class Money {
    amount = 1;
  }

  test.each<[string, unknown, string]>([
    ["a function", { a: [{ b: () => 1 }] }, ".a[0].b"],
    ["a symbol", { list: [1, Symbol("s")] }, ".list[1]"],
    ["a promise", { p: Promise.resolve(1) }, ".p"],
    ["a class instance", { money: new Money() }, ".money"],
    ["a function in a Map", { m: new Map([["k", () => 1]]) }, '.m.get("k")'],
    ["a WeakMap", { w: new WeakMap() }, ".w"],
    ["a function itself", () => 1, "(the value itself)"],
  ])("that holds %s is refused, and the message names where", (_title, value, path) => {
    expect(() => encode(value)).toThrow(expect.objectContaining({ code: "unrecordable_value", message: expect.stringContaining(path) }));
  });

  test("of more than 7 MiB is refused; characters of several bytes count in full", () => {
    expect(() => encode("x".repeat(7 * 1024 * 1024))).toThrow(expect.objectContaining({ code: "value_too_large" }));
    expect(() => encode("€".repeat(3 * 1024 * 1024))).toThrow(expect.objectContaining({ code: "value_too_large" }));
    expect(() => encode("x".repeat(7 * 1024 * 1024 - 10))).not.toThrow();
  });

  test("nested ten thousand deep is recorded or refused, and never breaks what was recorded", () => {
    let deep: unknown = 1;
    for (let i = 0; i < 10_000; i++) deep = [deep];
    let encoded: string | null = null;
    try {
      encoded = encode(deep);
    } catch (error) {
      expect(error).toBeInstanceOf(Error);
    }
    if (encoded !== null) expect(() => decode(encoded ?? "")).not.toThrow();
  });
});

test.each([
  ["a name that is no text", { name: { a: 1 } }],
  ["a message that is no text", { message: 5 }],
  ["a message that is a symbol", { message: Symbol("no") }],
  ["a stack that is no text", { stack: ["at"] }],
  ["a name that is null, and a property that can't be recorded", { name: null, act: () => 1 }],
])("an error with %s is recorded with texts in their place", (_what, odd) => {
  const encoded = encodeError(Object.assign(new Error("fine"), odd));

  const { name, message, stack } = decode(encoded) as Error;
  expect([typeof name, typeof message, typeof stack]).toEqual(["string", "string", "string"]);
  expect(summarizeError(encoded)).toEqual({ name: expect.any(String), message: expect.any(String), code: null });
});

test("bytes of a text are counted as UTF-8", () => {
  const encoder = new TextEncoder();
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => void expect(utf8Bytes(text)).toBe(encoder.encode(text).length)));
});

describe("an error", () => {
  class PaymentError extends Error {
    override readonly name = "PaymentError";
    readonly code = "card_declined";
    readonly at = new Date(7);
  }

  test.each([Error, TypeError, RangeError, SyntaxError, ReferenceError, URIError, EvalError])("of the built-in class %o comes back as one", (BuiltIn) => {
    const error = new BuiltIn("m");
    const back = decode(encode(error)) as Error;
    expect(back).toBeInstanceOf(BuiltIn);
    expect([back.constructor, back.name, back.message, back.stack]).toEqual([BuiltIn, error.name, "m", error.stack]);
    expect(Object.keys(back)).toEqual([]);
  });

  test("of an own class comes back as Error with its name and its own properties", () => {
    const back = decode(encode(new PaymentError("no money"))) as PaymentError;
    expect(back.constructor).toBe(Error);
    expect([back.name, back.message, back.code, back.at]).toEqual(["PaymentError", "no money", "card_declined", new Date(7)]);
  });

  test("keeps its cause, whatever it is, and those it aggregates", () => {
    for (const cause of [new TypeError("inner", { cause: "deeper" }), "text", undefined, { a: 1n }]) {
      const back = decode(encode(new Error("outer", { cause }))) as Error;
      expect("cause" in back).toBe(true);
      expect(back.cause).toEqual(cause);
    }
    expect("cause" in (decode(encode(new Error("none"))) as Error)).toBe(false);
    const all = decode(encode(new AggregateError([new RangeError("r"), 7], "all"))) as AggregateError;
    expect([all.constructor, all.message, all.errors[0].constructor, all.errors[1]]).toEqual([AggregateError, "all", RangeError, 7]);
  });

  test("inside a value keeps its place", () => {
    const error = new URIError("u");
    const back = decode(encode({ list: [error], map: new Map([["e", error]]) })) as { list: Error[]; map: Map<string, Error> };
    expect(back.list[0]).toBeInstanceOf(URIError);
    expect(back.map.get("e")).toBe(back.list[0]);
  });

  test("that refers to itself is recorded so that it can be read", () => {
    const causeLoop = new Error("loop");
    causeLoop.cause = causeLoop;
    const response = { error: null as unknown };
    const property = Object.assign(new TypeError("loop"), { code: "E1", response });
    response.error = property;
    const aggregate = new AggregateError([], "loop");
    aggregate.errors.push(aggregate);
    for (const error of [causeLoop, property, aggregate]) expect((decode(encodeError(error)) as Error).message).toBe("loop");
    expect(decode(encodeError(property))).toMatchObject({ code: "E1" });
    // As a step's result: recorded or refused, but never unreadable.
    let encoded: string | null = null;
    try {
      encoded = encode({ error: causeLoop });
    } catch (error) {
      expect(error).toMatchObject({ code: "unrecordable_value" });
    }
    if (encoded !== null) expect(() => decode(encoded ?? "")).not.toThrow();
  });

  test.each<[string, () => unknown, { name?: string; message: string; code?: unknown }]>([
    [
      "with a property that can't be recorded keeps name, message and code",
      () => Object.assign(new TypeError("t"), { code: "E1", socket: () => 1 }),
      { name: "TypeError", message: "t", code: "E1" },
    ],
    ["with a numeric code keeps it", () => Object.assign(new Error("t"), { code: 7, socket: () => 1 }), { message: "t", code: 7 }],
    ["with a code that is no code goes without", () => Object.assign(new Error("t"), { code: () => 1 }), { message: "t", code: undefined }],
    ["with a property of a megabyte goes without it", () => Object.assign(new Error("t"), { body: "x".repeat(2 ** 20) }), { message: "t" }],
    [
      "with a property that throws when read is recorded all the same",
      () =>
        Object.defineProperty(new Error("t"), "bad", {
          enumerable: true,
          get: () => {
            throw new Error("getter");
          },
        }),
      { message: "t" },
    ],
    ["with a text of a megabyte is cut", () => new Error("x".repeat(2 ** 20)), { message: `${"x".repeat(8192)}… (cut)` }],
    ["that is a text is one with that message", () => "text", { name: "Error", message: "text" }],
    ["that is an object says what was thrown", () => ({ a: 1n }), { message: 'Thrown: {"a":"1"}' }],
    ["that is nothing says so", () => null, { message: "Thrown: null" }],
    ["that is a symbol does not break the record", () => Symbol("s"), { message: expect.stringContaining("Thrown:") }],
    ["that is a function does not break the record", () => () => 1, { message: expect.stringContaining("Thrown:") }],
    [
      "whose text form throws does not break the record",
      () => ({
        toJSON: 1,
        get a() {
          throw new Error("getter");
        },
      }),
      { message: "Thrown: a value without a text form" },
    ],
  ])("%s", (_title, make, expected) => {
    const back = decode(encodeError(make())) as Error;
    expect(back).toBeInstanceOf(Error);
    expect({ name: back.name, message: back.message, code: (back as { code?: unknown }).code }).toMatchObject(expected);
  });

  test("is summed up by name, message and code", () => {
    expect(summarizeError(encode(new PaymentError("no money")))).toEqual({ name: "PaymentError", message: "no money", code: "card_declined" });
    expect(summarizeError(encode(Object.assign(new Error("m"), { code: 404 })))).toEqual({ name: "Error", message: "m", code: "404" });
    expect(summarizeError(encode(Object.assign(new Error("m"), { code: {} })))).toEqual({ name: "Error", message: "m", code: null });
    expect(summarizeError(encode({ a: 1 }))).toEqual({ name: "Error", message: '{"a":1}', code: null });
  });
});

describe("as JSON", () => {
  test.each<[string, unknown, unknown]>([
    ["a date is ISO text", new Date(0), "1970-01-01T00:00:00.000Z"],
    ["an invalid date is null", new Date(Number.NaN), null],
    ["a bigint is decimal text", 2n ** 70n, "1180591620717411303424"],
    ["NaN is text", Number.NaN, "NaN"],
    ["undefined is null", undefined, null],
    ["a Map is a list of pairs", new Map([["a", new Date(0)]]), [["a", "1970-01-01T00:00:00.000Z"]]],
    ["a Set is a list", new Set([1n]), ["1"]],
    ["bytes are base64", new Uint8Array([104, 105]), "aGk="],
    ["a buffer is base64", new Uint8Array([104, 105]).buffer, "aGk="],
    ["a view shows its own part", new Uint8Array([0, 104, 105, 0]).subarray(1, 3), "aGk="],
    ["a URL is text", new URL("http://a.example/"), "http://a.example/"],
    ["a RegExp is text", /a/g, "/a/g"],
    ["an error is an object", Object.assign(new TypeError("m"), { code: 7n }), { name: "TypeError", message: "m", code: "7" }],
    ["plain data is as it is", { a: [1, "x", true, null] }, { a: [1, "x", true, null] }],
  ])("%s", (_title, value, json) => {
    expect(toJson(value)).toEqual(json);
  });

  test("a cycle is cut; what only occurs twice is not", () => {
    const shared = { s: 1 };
    const loop = { a: shared, b: shared, self: null as unknown };
    loop.self = loop;
    expect(toJson(loop)).toEqual({ a: { s: 1 }, b: { s: 1 }, self: "[Circular]" });
  });

  test("every value can be printed", () => {
    fc.assert(fc.property(rich, (value) => void expect(() => JSON.stringify(toJson(value))).not.toThrow()));
  });
});

describe("redaction", () => {
  const names = new Set(["token"]);
  const secret = "s3cret";

  test.each<[string, unknown]>([
    ["a property", { token: secret, other: 1 }],
    ["a property deep down", { a: [{ b: new Map([["x", { token: secret }]]) }] }],
    ["a Map's entry", new Map([["token", secret]])],
    ["a property of an object in a Set", new Set([{ token: secret }])],
    ["a property of an error", Object.assign(new Error("m"), { token: secret })],
    ["a property of an error's cause", new Error("m", { cause: { token: secret } })],
    ["a property of an aggregated error", new AggregateError([Object.assign(new Error("m"), { token: secret })], "all")],
    ["a whole object", { token: { value: secret } }],
  ])("hides %s", (_title, value) => {
    const shown = redact(encode(value), names);
    expect(shown).not.toContain(secret);
    expect(shown).toContain("[redacted]");
  });

  test("leaves everything else as it is, cycles and classes included, and costs nothing without names", () => {
    const loop = { date: new Date(7), error: new RangeError("r"), bytes: new Uint8Array([1]), self: null as unknown };
    loop.self = loop;
    const back = decode(redact(encode(loop), names)) as typeof loop;
    expect(back.self).toBe(back);
    expect([back.date, back.bytes, back.error]).toEqual([loop.date, loop.bytes, expect.any(RangeError)]);
    const encoded = encode({ token: 1 });
    expect(redact(encoded, new Set())).toBe(encoded);
  });
});

describe("a fault", () => {
  test("carries a code, that code's sentence by default, and details", () => {
    const fault = new Fault("run_ended", undefined, { status: "failed" });
    expect([fault.name, fault.message, fault.details]).toEqual(["Fault", faultCodes.run_ended.title, { status: "failed" }]);
  });

  test("is known by its code when it has lost its class; anything else is none", () => {
    expect(faultCodeOf(new Fault("timeout"))).toBe("timeout");
    expect(faultCodeOf({ code: "timeout" })).toBe("timeout");
    for (const other of [null, undefined, "timeout", {}, { code: "ENOENT" }, { code: 7 }, { code: "toString" }]) expect(faultCodeOf(other)).toBe(null);
  });

  test("is thrown by a state that must not exist", () => {
    expect(() => invariant(false, "broken")).toThrow(expect.objectContaining({ code: "invariant", message: "broken" }));
    expect(() => invariant(1, "fine")).not.toThrow();
  });

  test("has a status and a sentence for every code", () => {
    for (const { status, title } of Object.values(faultCodes)) {
      expect(status).toSatisfy((it: number) => it >= 400 && it < 600);
      expect(title).toMatch(/^[A-Z].*\.$/);
    }
  });
});
