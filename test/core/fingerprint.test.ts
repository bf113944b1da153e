import { expect, test } from "vitest";
import { type Failure, failureFingerprint, messagePattern } from "#core/fingerprint.ts";

const failure: Failure = { workflow: "onboarding", step: "charge", error: { name: "PaymentError", message: "The card was declined.", code: "E_DECLINED" } };

test.each([
  ["an amount", "Amount 1000 exceeds 500", "Amount 20.5 exceeds 1,500"],
  ["an id", "No such customer: cus_9s6XKzkNRiz8i3", "No such customer: cus_4fdAW5ftNQow1a"],
  ["a uuid", "Order 123e4567-e89b-12d3-a456-426614174000 is gone", "Order 9b2d0c1e-aaaa-4bbb-8ccc-dddddddddddd is gone"],
  ["a hash", "Commit deadbeef is missing", "Commit 1f2e3d4c5b is missing"],
  ["a quoted value", "Field 'email' of \"acme\" is not allowed", "Field 'phone number' of \"umbrella & co\" is not allowed"],
  ["a time", "Retry after 2026-01-02T03:04:05.678Z", "Retry after 2027-11-12T13:14:15Z"],
  ["an address", "connect ECONNREFUSED 10.0.0.1:5432", "connect ECONNREFUSED 192.168.100.20:80"],
  ["white space", "line one\n  line two", "line one line two"],
])("two failures that differ by %s alone are one kind", (_what, left, right) => {
  expect(messagePattern(left)).toBe(messagePattern(right));
  const marks = [left, right].map((message) => failureFingerprint({ ...failure, error: { ...failure.error, message } }));
  expect(marks[0]).toBe(marks[1]);
});

test.each([
  ["the workflow", { workflow: "billing" }],
  ["the step", { step: "refund" }],
  ["the error's name", { error: { ...failure.error, name: "Error" } }],
  ["the error's code", { error: { ...failure.error, code: null } }],
  ["what the message says", { error: { ...failure.error, message: "The card is stolen." } }],
])("two failures that differ by %s are two kinds", (_what, changes) => {
  expect(failureFingerprint({ ...failure, ...changes })).not.toBe(failureFingerprint(failure));
});

test("an apostrophe quotes nothing", () => {
  expect(messagePattern("It can't be paid, and won't be.")).toBe("It can't be paid, and won't be.");
});

test("a mark is sixteen hexadecimal digits, and never changes", () => {
  expect(failureFingerprint(failure)).toMatch(/^[0-9a-f]{16}$/);
  expect(failureFingerprint(failure)).toBe("5ae21f567cfbce36");
});

test("a message of any length and kind is read in no time", () => {
  for (const part of ["a", "1", "'", '"', "a1", " ", "#,", "deadbeef"]) messagePattern(part.repeat(100_000));
});

test("thousands of kinds have thousands of marks", () => {
  const words = Array.from({ length: 20_000 }, (_, place) => place.toString(26).replace(/\d/g, (digit) => "qrstuvwxyz"[Number(digit)] ?? ""));
  expect(new Set(words.map((step) => failureFingerprint({ ...failure, step }))).size).toBe(new Set(words).size);
});
