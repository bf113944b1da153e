/// <reference types="@cloudflare/vitest-pool-workers/types" />
import { applyD1Migrations, type D1Migration } from "cloudflare:test";
import { env } from "cloudflare:workers";
import type { RunSummary } from "#core/run.ts";

/** The local D1 with the project's migrations applied. It is shared by the tests of a file, so each test keeps to a namespace of its own. */
export async function openIndex(): Promise<D1Database> {
  // The bindings are given by the test configuration, which this file can't see.
  const bindings = env as unknown as { readonly INDEX: D1Database; readonly TEST_MIGRATIONS: D1Migration[] };
  await applyD1Migrations(bindings.INDEX, bindings.TEST_MIGRATIONS);
  return bindings.INDEX;
}

let namespaces = 0;

/** A namespace that no other test uses. */
export function newNamespace(): string {
  namespaces += 1;
  return `namespace-${namespaces}-${crypto.randomUUID()}`;
}

/** A run that waits, with what the test says otherwise. */
export function runSummary(changes: Partial<RunSummary> & Pick<RunSummary, "namespace" | "id">): RunSummary {
  return {
    workflow: "onboarding",
    version: "1",
    status: "waiting",
    reason: { code: "event", message: "Step invoice#1 waits for the event invoice.paid.", step: "invoice#1", until: null },
    step: "invoice#1",
    attributes: {},
    trigger: "http",
    createdAt: 1_700_000_000_000,
    updatedAt: 1_700_000_001_000,
    endedAt: null,
    nextWakeAt: null,
    error: null,
    fingerprint: null,
    origin: null,
    approvals: [],
    seq: 1,
    ...changes,
  };
}

/** The same object with other members. Methods that stay keep their object. */
export function replacing<T extends object>(object: T, members: Partial<Record<keyof T, unknown>>): T {
  return new Proxy(object, {
    get(target, key) {
      if (Object.hasOwn(members, key)) return Reflect.get(members, key);
      const member: unknown = Reflect.get(target, key);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}
