import type { Dispatcher, Publisher } from "#engine/ports.ts";

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

/** By so much later is a summary sent, in ms: whoever waits for the run is told before the index, which has a queue between anyway. */
const afterTheAnswerMs = 20;

export function queuePublisher(queue: Queue): Publisher {
  return {
    publish: async (summary) => {
      await scheduler.wait(afterTheAnswerMs);
      await queue.send(summary, { contentType: "json" });
    },
  };
}
