import type { Clock, Dispatcher, Publisher } from "#engine/ports.ts";

/** What one `sendBatch` takes. */
const messagesPerBatch = 100;

export function queueDispatcher(queue: Queue): Dispatcher {
  return {
    send: async (messages) => {
      for (let start = 0; start < messages.length; start += messagesPerBatch) {
        await queue.sendBatch(messages.slice(start, start + messagesPerBatch).map((body) => ({ body, contentType: "json" as const })));
      }
    },
  };
}

/** Sends a turn later: whoever waits for the run is told before the index. */
export function queuePublisher(queue: Queue, clock: Clock): Publisher {
  return {
    publish: async (summary) => {
      await clock.idle();
      await queue.send(summary, { contentType: "json" });
    },
  };
}
