import type { Log } from "#sdk/log.ts";

/** One JSON object a line, with `context` in each, for `wrangler tail` and log services. */
export function consoleLog(context: Readonly<Record<string, unknown>>): Log {
  const line = (level: string, message: string, fields: Readonly<Record<string, unknown>> = {}): string =>
    JSON.stringify({ level, message, ...context, ...fields });
  return {
    info: (message, fields) => console.log(line("info", message, fields)),
    warn: (message, fields) => console.warn(line("warn", message, fields)),
    error: (message, fields) => console.error(line("error", message, fields)),
  };
}
