import { Agent, request } from "node:http";
import { apiKey } from "./local.ts";

/** A response that arrived whole. */
export interface Response {
  readonly status: number;
  readonly body: unknown;
}

export interface Client {
  get(path: string): Promise<Response>;
  post(path: string, body?: unknown): Promise<Response>;
  close(): void;
}

/** A client over kept connections. It rejects when a response does not arrive whole: what was half received was not received. */
export function createClient(url: URL, key = apiKey): Client {
  // A kept connection is given up before workerd does (after 5 s), or a request could meet its end.
  const agent = new Agent({ keepAlive: true, maxSockets: 256, timeout: 2_000 });
  const send = (method: string, path: string, body?: unknown, repeats = 20): Promise<Response> =>
    new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { "content-type": "application/json" }) };
      const outgoing = request(new URL(path, url), { method, agent, headers, timeout: 120_000 }, (incoming) => {
        let text = "";
        incoming.setEncoding("utf8");
        incoming.on("data", (part: string) => {
          text += part;
        });
        incoming.on("error", reject);
        incoming.on("close", () => {
          if (!incoming.complete) reject(new Error("The response was cut off."));
        });
        incoming.on("end", () => {
          try {
            resolve({ status: incoming.statusCode ?? 0, body: text === "" ? null : JSON.parse(text) });
          } catch {
            reject(new Error(`${method} ${path}: ${incoming.statusCode} ${text.slice(0, 200)}`));
          }
        });
      });
      outgoing.on("timeout", () => outgoing.destroy(new Error("No answer within two minutes.")));
      outgoing.on("error", (error: Error & { code?: string }) => {
        // After a stall of the machine, workerd takes connections for idle whose request it has not read yet, and closes them.
        if (repeats > 0 && error.code === "ECONNRESET") send(method, path, body, repeats - 1).then(resolve, reject);
        else reject(error);
      });
      outgoing.end(body === undefined ? undefined : JSON.stringify(body));
    });
  return { get: (path) => send("GET", path), post: (path, body) => send("POST", path, body), close: () => agent.destroy() };
}
