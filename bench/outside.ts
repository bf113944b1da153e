import { createServer } from "node:http";

/** A server that stands for the outside world, on loopback. It outlives whoever calls it. */
export interface Outside {
  readonly url: string;
  stop(): void;
}

/**
 * Starts it. `hear` gets the JSON of each request that arrived whole, and the way to answer it, at once, later or never. A caller that is killed while it speaks has
 * said nothing; to one that is gone nothing is answered.
 */
export async function startOutside(hear: (body: unknown, answer: (status: number) => void) => void): Promise<Outside> {
  const server = createServer((request, response) => {
    let text = "";
    request.on("error", () => {
      // The caller is gone: it has said nothing.
    });
    request.on("data", (part) => {
      text += String(part);
    });
    request.on("end", () => {
      hear(JSON.parse(text), (status) => {
        if (!response.destroyed) response.writeHead(status).end();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/`,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
