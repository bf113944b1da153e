import type { Client } from "./http.ts";

/**
 * The forms of what is measured. `segno`: through the HTTP API, as a caller would. `floor`: a bare Durable Object that awaits `sync()` after every row; `gate`: the
 * same without `sync()`. `cloudflare`: Cloudflare Workflows, on the local engine that comes with workerd.
 */
export type Variant = "segno" | "floor" | "gate" | "cloudflare";

export interface Caller {
  /** Runs a program to its end. */
  run(program: string, steps: number): Promise<void>;
  /** Starts a run that waits for an event. */
  park(): Promise<ParkedRun>;
  /** Has a run sleep, and answers by how many ms it went on too late. */
  nap(ms: number): Promise<number>;
}

export interface ParkedRun {
  send(): Promise<unknown>;
  /** Waits until the run has ended. */
  told(): Promise<unknown>;
}

export const callers: Readonly<Record<Variant, (client: Client) => Caller>> = {
  segno: segnoCaller,
  floor: (client) => bareCaller(client, true),
  gate: (client) => bareCaller(client, false),
  cloudflare: peerCaller,
};

function segnoCaller(client: Client): Caller {
  const start = async (workflow: string, input: unknown): Promise<unknown> => {
    const { status, body } = await client.post(`/v1/workflows/${workflow}/runs?wait=60s`, { input });
    if (status !== 201) throw new Error(`A run of ${workflow} was answered with ${status}: ${JSON.stringify(body)}`);
    return completedOutput(body);
  };
  return {
    run: async (program, steps) => {
      await start(program, { steps });
    },
    park: async () => {
      const { id } = (await client.post("/v1/workflows/event/runs", { input: null })).body as { id: string };
      return {
        send: () => client.post(`/v1/runs/${id}/events/go`, { payload: 1 }),
        told: async () => completedOutput((await client.get(`/v1/runs/${id}?wait=60s`)).body),
      };
    },
    nap: async (ms) => Number(await start("nap", { ms })),
  };
}

function completedOutput(body: unknown): unknown {
  const { status, output } = body as { status: string; output: unknown };
  if (status !== "completed") throw new Error(`The run did not complete: ${JSON.stringify(body)}`);
  return output;
}

function bareCaller(client: Client, durable: boolean): Caller {
  return {
    run: async (program, steps) => {
      await client.post(`/bare/${program}?steps=${steps}&durable=${durable}`);
    },
    park: async () => {
      const name = crypto.randomUUID();
      await client.post(`/bare/park?name=${name}&durable=${durable}`);
      return { send: () => client.post(`/bare/event?name=${name}&durable=${durable}`), told: () => client.get(`/bare/finished?name=${name}`) };
    },
    nap: async (ms) => resultOf((await client.post(`/bare/nap?ms=${ms}`)).body),
  };
}

function peerCaller(client: Client): Caller {
  return {
    run: async (program, steps) => {
      await client.post(`/peer/${program}?steps=${steps}`);
    },
    park: async () => {
      const name = crypto.randomUUID();
      await client.post(`/peer/start?name=${name}`);
      return { send: () => client.post(`/peer/go?name=${name}`), told: () => client.get(`/bare/finished?name=${name}`) };
    },
    nap: async (ms) => resultOf((await client.post(`/peer/nap?steps=${ms}`)).body),
  };
}

function resultOf(body: unknown): number {
  return Number((body as { result: unknown }).result);
}
