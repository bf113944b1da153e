import { describe } from "../describe.ts";
import type { Instance, Program } from "../program.ts";
import { programs } from "../program.ts";
import type { Loose } from "./helpers.ts";

const missing = "<error Error: instance.not_found>";
const badId = "<error Error: Workflow instance has invalid id>";

/** What an instance id that is none is told. */
function refusedIds(name: string, promise: string, ids: readonly unknown[]): Program {
  return {
    name,
    promise,
    run: async () => "done",
    drive: async ({ binding, attempt }) => {
      for (const [index, id] of ids.entries()) await attempt(`id ${index}`, () => (binding as Loose).create({ id }));
    },
    expect: { status: "complete", notes: Object.fromEntries(ids.map((_, index) => [`id ${index}`, badId])) },
  };
}

/** What the run is told of itself, and the calls on the binding. */
export const instances = programs(
  {
    name: "event-of-the-run",
    promise: "A run is told its payload, its id, its workflow and the time of its creation.",
    params: { amount: 5 },
    run: async (event) => ({
      keys: Object.keys(event).sort(),
      payload: event.payload,
      name: event.workflowName,
      dated: event.timestamp instanceof Date && Math.abs(event.timestamp.getTime() - Date.now()) < 60_000,
      named: event.instanceId.startsWith("event-of-the-run--"),
    }),
    expect: {
      output: { keys: ["instanceId", "payload", "timestamp", "workflowName"], payload: { amount: 5 }, name: "comparison", dated: true, named: true },
    },
  },
  {
    name: "payload-absent",
    promise: "A run created without params has an empty object as its payload.",
    run: async (event) => event.payload,
    expect: { output: {} },
  },
  {
    name: "payload-values",
    promise: "Params may be all that a step's output may be.",
    params: { date: new Date(0), map: new Map([["a", 1]]), set: new Set([1]), bytes: new Uint8Array([1, 2]), none: undefined, nested: [{ deep: null }] },
    run: async (event) => describe(event.payload),
    expect: {
      output: {
        date: "<date 1970-01-01T00:00:00.000Z>",
        map: { "<map>": [["a", 1]] },
        set: { "<set>": [1] },
        bytes: { "<Uint8Array>": [1, 2] },
        none: "<undefined>",
        nested: [{ deep: null }],
      },
    },
  },
  {
    name: "payload-null",
    promise: "Null, zero and text are payloads too.",
    params: null,
    run: async (event) => event.payload,
    drive: async ({ binding, newId, finished, note }) => {
      for (const [label, params] of [
        ["zero", 0],
        ["text", "t"],
        ["false", false],
        ["list", [1]],
      ] as const) {
        note(label, (await finished(await binding.create({ id: newId(label), params }))).output);
      }
    },
    expect: { output: null, notes: { zero: 0, text: "t", false: false, list: [1] } },
  },
  {
    name: "payload-own",
    promise: "A run may change its payload; a replay has it as it was given.",
    params: { amount: 5 },
    run: async (event: { payload: { amount: number } }, step, io) => {
      (event.payload as { amount: number }).amount++;
      await io.effect("amount", event.payload.amount);
      await step.do("a", async () => io.effect("a"));
      return event.payload.amount;
    },
    drive: async ({ instance, until, seen }) => {
      await until("complete");
      await instance.restart({ from: { name: "a" } });
      await seen("a", 2);
    },
    expect: { output: 6, effects: ["amount(6)", "a", "amount(6)", "a"] },
  },
  {
    name: "create-without-id",
    promise: "Without an id, an instance gets a UUID.",
    run: async () => "done",
    drive: async ({ binding, note, finished }) => {
      const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
      const [bare, empty, undef] = [await binding.create(), await binding.create({}), await (binding as Loose).create({ id: undefined })];
      note(
        "ids",
        [bare, empty, undef].map(({ id }) => uuid.test(id)),
      );
      note("distinct", new Set([bare.id, empty.id, undef.id]).size);
      note("output", (await finished(bare)).output);
    },
    expect: { notes: { ids: [true, true, true], distinct: 3, output: { payload: {} } } },
  },
  {
    name: "create-handle",
    promise: "Create gives a handle with the id, at once.",
    run: async (_event, step) => step.sleep("rest", 50),
    drive: async ({ binding, newId, note, finished }) => {
      const id = newId("made");
      const made = await binding.create({ id, params: 1 });
      note("id", made.id === id);
      note("status", (await finished(made)).status);
    },
    expect: { notes: { id: true, status: "complete" } },
  },
  refusedIds("create-bad-id", "An id that is not of letters, digits, `-` and `_` is refused.", ["a b", "a.b", "ä", "a/b", "", "-a"]),
  refusedIds("create-bad-id-type", "An id that is no text is refused.", [5, null, {}]),
  refusedIds("create-long-id", "An id of more than 100 characters is refused.", ["x".repeat(101)]),
  {
    name: "create-good-id",
    promise: "An id may begin with an underscore or a digit, and have 100 characters.",
    run: async (_event, _step) => "done",
    drive: async ({ binding, newId, note, finished }) => {
      const ids = [`_${newId("u")}`, `1${newId("d")}`, newId("long").padEnd(100, "x")];
      const statuses: string[] = [];
      for (const id of ids) statuses.push((await finished(await binding.create({ id }))).status);
      note("statuses", statuses);
    },
    expect: { notes: { statuses: ["complete", "complete", "complete"] } },
  },
  {
    name: "create-existing",
    promise: "An id that is taken is refused, and the instance that has it is untouched.",
    params: { first: true },
    run: async (event) => event.payload,
    drive: async ({ binding, id, until, note }) => {
      await until("complete");
      try {
        await binding.create({ id, params: { first: false } });
        note("second", "accepted");
      } catch (error) {
        note("second", String(error).includes("(instance.already_exists)"));
      }
      note("output", (await (await binding.get(id)).status()).output);
    },
    expect: { output: { first: true }, notes: { second: true, output: { first: true } } },
    differs: { id: "local-duplicate-id", local: { output: { first: true }, notes: { second: "accepted", output: { first: true } } } },
  },
  {
    name: "create-unserialisable",
    promise: "Params that can't be kept are refused where they are given.",
    run: async () => "done",
    drive: async ({ binding, newId, note }) => {
      class Own {
        readonly x = 1;
      }
      for (const [label, params] of [
        ["class", new Own()],
        ["symbol", { s: Symbol("s") }],
      ] as const) {
        try {
          await binding.create({ id: newId(label), params });
          note(label, "accepted");
        } catch {
          note(label, "refused");
        }
      }
    },
    expect: { notes: { class: "refused", symbol: "refused" } },
  },
  {
    name: "create-late",
    promise: "An instance that a script creates later runs like any other.",
    starts: false,
    run: async (event) => event.payload,
    drive: async ({ binding, id, attempt }) => {
      await attempt("before", () => binding.get(id));
      await binding.create({ id, params: 1 });
    },
    expect: { status: "complete", output: 1, notes: { before: missing } },
  },
  {
    name: "get-known",
    promise: "Get gives a handle that does what that of create does.",
    run: async (_event, step) => (await step.waitForEvent<number>("go", { type: "go" })).payload,
    drive: async ({ binding, id, note }) => {
      const handle = await binding.get(id);
      note("id", handle.id === id);
      await handle.sendEvent({ type: "go", payload: 4 });
    },
    expect: { output: 4, notes: { id: true } },
  },
  {
    name: "get-unknown",
    promise: "Get of an id that nobody has is refused.",
    run: async () => "done",
    drive: async ({ binding, newId, attempt }) => {
      await attempt("unknown", () => binding.get(newId("nobody")));
      await attempt("no id", () => binding.get("a b"));
      await attempt("empty", () => binding.get(""));
    },
    expect: { notes: { unknown: missing, "no id": missing, empty: missing } },
  },
  {
    name: "batch-list",
    promise: "A batch given as a list gives the handles in its order.",
    run: async (event) => event.payload,
    drive: async ({ binding, newId, note, finished }) => {
      const ids = [newId("b"), newId("b"), newId("b")];
      const made: Instance[] = await binding.createBatch(ids.map((id, index) => ({ id, params: { index } })));
      note(
        "ids",
        made.map(({ id }) => ids.indexOf(id)),
      );
      const outputs: unknown[] = [];
      for (const one of made) outputs.push((await finished(one)).output);
      note("outputs", outputs);
    },
    expect: { notes: { ids: [0, 1, 2], outputs: [{ index: 0 }, { index: 1 }, { index: 2 }] } },
  },
  {
    name: "batch-list-without-ids",
    promise: "Instances of a batch need no ids.",
    run: async () => "done",
    drive: async ({ binding, note }) => {
      const made: Instance[] = await binding.createBatch([{}, { params: 1 }]);
      note("ids", new Set(made.map(({ id }) => id)).size);
    },
    expect: { notes: { ids: 2 } },
  },
  {
    name: "batch-list-existing",
    promise: "A batch given as a list leaves instances that exist as they are.",
    params: { first: true },
    run: async (event) => event.payload,
    drive: async ({ binding, id, newId, note, until, finished }) => {
      await until("complete");
      const fresh = newId("fresh");
      await binding.createBatch([
        { id, params: { first: false } },
        { id: fresh, params: "new" },
      ]);
      note("fresh", (await finished(await binding.get(fresh))).output);
      note("old", (await (await binding.get(id)).status()).output);
    },
    expect: { output: { first: true }, notes: { fresh: "new", old: { first: true } } },
  },
  {
    name: "batch-list-empty",
    promise: "A batch of nothing is refused.",
    run: async () => "done",
    drive: async ({ binding, attempt }) => attempt("empty", () => binding.createBatch([])),
    expect: { notes: { empty: "<error Error: WorkflowError: batchCreate should have at least 1 instance>" } },
  },
  {
    name: "batch-list-bad-id",
    promise: "A batch with an id that is none is refused.",
    run: async () => "done",
    drive: async ({ binding, newId, attempt }) => attempt("bad", () => binding.createBatch([{ id: newId("ok") }, { id: "a b" }])),
    expect: { notes: { bad: badId } },
  },
  {
    name: "batch-count",
    promise: "A batch given as a count makes so many, with the same params.",
    run: async () => "done",
    drive: async ({ binding, note, finished }) => {
      const { created, errors } = await binding.createBatch({ count: 3, params: { same: true } });
      note("sizes", [created.length, errors.length]);
      note("output", (await finished(await binding.get(created[0].id))).output);
    },
    expect: { notes: { sizes: [3, 0], output: { payload: { same: true } } } },
    differs: { id: "local-no-batch-object", local: "not comparable" },
  },
  {
    name: "batch-instances",
    promise: "A batch given as instances tells what was created and what was not, one by one.",
    run: async (event) => event.payload,
    drive: async ({ binding, id, newId, note, until }) => {
      await until("complete");
      const [one, two] = [newId("one"), newId("two")];
      const { created, errors } = await binding.createBatch({ instances: [{ id: one }, { id }, { id: two }, { id: one }] });
      note(
        "created",
        created.map((made: { id: string }) => [one, two].indexOf(made.id)),
      );
      note(
        "errors",
        errors.map((error: { index: number; code: number }) => [error.index, error.code]),
      );
    },
    expect: {
      notes: {
        created: [0, 1],
        errors: [
          [1, 10405],
          [3, 10415],
        ],
      },
    },
    differs: { id: "local-no-batch-object", local: "not comparable" },
  },
  {
    name: "delete-one",
    promise: "A deleted instance is gone.",
    run: async () => "done",
    drive: async ({ binding, newId, finished, attempt }) => {
      const made = await binding.create({ id: newId("gone") });
      await finished(made);
      await attempt("delete", () => made.delete());
      await attempt("status", () => made.status());
      await attempt("get", () => binding.get(made.id));
      await attempt("event", () => made.sendEvent({ type: "go" }));
      await attempt("again", () => made.delete());
    },
    expect: { notes: { delete: "<undefined>", status: missing, get: missing, event: missing, again: missing } },
  },
  {
    name: "delete-id-again",
    promise: "The id of a deleted instance is free again.",
    run: async (event) => event.payload,
    drive: async ({ binding, newId, finished, note }) => {
      const id = newId("again");
      const first = await binding.create({ id, params: 1 });
      note("first", (await finished(first)).output);
      await first.delete();
      note("second", (await finished(await binding.create({ id, params: 2 }))).output);
    },
    expect: { notes: { first: 1, second: 2 } },
  },
  {
    name: "delete-batch",
    promise: "A batch of deletions tells what was deleted.",
    run: async () => "done",
    drive: async ({ binding, newId, finished, note, attempt }) => {
      const ids = [newId("a"), newId("b")];
      for (const id of ids) await finished(await binding.create({ id }));
      const { deleted, errors } = await binding.deleteBatch(ids);
      note(
        "deleted",
        deleted.map(({ id }) => ids.indexOf(id)),
      );
      note("errors", errors);
      await attempt("after", () => binding.get(ids[0] ?? ""));
    },
    expect: { notes: { deleted: [0, 1], errors: [], after: missing } },
  },
  {
    name: "delete-batch-missing",
    promise: "A batch of deletions tells what was not there.",
    run: async () => "done",
    drive: async ({ binding, newId, note }) => {
      const id = newId("nobody");
      const { deleted, errors } = await binding.deleteBatch([id]);
      note("deleted", deleted.length);
      note(
        "errors",
        errors.map((error) => [error.id === id, error.code, error.message]),
      );
    },
    expect: { notes: { deleted: 0, errors: [[true, 10400, "workflows.api.error.instance.not_found"]] } },
    differs: { id: "local-delete-missing", local: { notes: { deleted: 1, errors: [] } } },
  },
  {
    name: "delete-batch-bounds",
    promise: "A batch of deletions has between 1 and 100 ids.",
    run: async () => "done",
    drive: async ({ binding, attempt }) => {
      await attempt("none", () => binding.deleteBatch([]));
      await attempt("many", () => binding.deleteBatch(Array.from({ length: 101 }, (_, index) => `id${index}`)));
    },
    expect: {
      notes: {
        none: "<error Error: WorkflowError: deleteBatch should have at least 1 instance>",
        many: "<error Error: WorkflowError: deleteBatch is limited to 100 instances at a time>",
      },
    },
  },
);
