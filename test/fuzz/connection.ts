import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";

/** HTTP/1.1 over a socket, byte for byte as it is asked for: also what no client would send. */

export interface Answer {
  readonly status: number;
  /** Names in lower case; of a repeated one the last. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly ms: number;
}

/** How the bytes are sent. */
export interface Sending {
  readonly timeoutMs: number;
  /** Nothing follows, though more was promised: the caller hangs up after this many ms. Null: it waits for the answer. */
  readonly hangUpAfterMs: number | null;
}

/** A kept connection. One request at a time. */
export class Connection {
  readonly #url: URL;
  #socket: Socket | null = null;

  constructor(url: URL) {
    this.#url = url;
  }

  /** The answer; null when the connection ended, or was ended by us, without one. @throws Error when there is none in time. */
  async send(bytes: Buffer, sending: Sending): Promise<Answer | null> {
    const isKept = this.#socket !== null;
    const answer = await this.#exchange(bytes, sending);
    // A kept connection may have been closed for its idleness in the moment that it was used.
    if (answer !== null || !isKept || sending.hangUpAfterMs !== null) return answer;
    return await this.#exchange(bytes, sending);
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  async #exchange(bytes: Buffer, { timeoutMs, hangUpAfterMs }: Sending): Promise<Answer | null> {
    const socket = this.#socket ?? (await this.#open());
    const startedAt = performance.now();
    const reader = new AnswerReader();
    const done = Promise.withResolvers<Answer | null>();
    const isHead = bytes.subarray(0, 5).toString("latin1") === "HEAD ";
    const onData = (part: Buffer): void => {
      const read = reader.read(part, isHead);
      if (read) done.resolve({ ...read, ms: performance.now() - startedAt });
    };
    const onClose = (): void => {
      const read = reader.closed();
      this.#socket = null;
      done.resolve(read && { ...read, ms: performance.now() - startedAt });
    };
    const late = setTimeout(
      () => (hangUpAfterMs === null ? done.reject(new Error(`No answer within ${timeoutMs} ms.`)) : done.resolve(null)),
      hangUpAfterMs ?? timeoutMs,
    );
    socket.on("data", onData);
    socket.on("close", onClose);
    socket.write(bytes);
    try {
      const answer = await done.promise;
      if (answer === null || hangUpAfterMs !== null || answer.headers["connection"]?.toLowerCase() === "close") this.close();
      return answer;
    } catch (error) {
      this.close();
      throw error;
    } finally {
      clearTimeout(late);
      socket.off("data", onData);
      socket.off("close", onClose);
    }
  }

  async #open(): Promise<Socket> {
    const opened = Promise.withResolvers<void>();
    const socket = connect(Number(this.#url.port), this.#url.hostname);
    socket.on("connect", opened.resolve);
    socket.on("error", opened.reject);
    await opened.promise;
    socket.setNoDelay(true);
    socket.off("error", opened.reject);
    socket.on("error", ignore);
    socket.on("close", () => {
      if (this.#socket === socket) this.#socket = null;
    });
    this.#socket = socket;
    return socket;
  }
}

/** A failed write or a reset shows as the end of the connection. */
function ignore(): void {}

type Read = Omit<Answer, "ms">;

interface Head {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Where the body begins. */
  readonly from: number;
}

/** Puts an answer together as it comes. */
class AnswerReader {
  #parts: Buffer[] = [];
  #bytes = 0;
  #head: Head | null = null;

  read(part: Buffer, isHead: boolean): Read | null {
    this.#parts.push(part);
    this.#bytes += part.length;
    this.#head ??= this.#readHead();
    if (!this.#head) return null;
    const { status, headers, from } = this.#head;
    if (isHead || status === 204 || status === 304) return { status, headers, body: Buffer.alloc(0) };
    if (headers["content-length"] !== undefined) {
      const end = from + Number(headers["content-length"]);
      return this.#bytes >= end ? { status, headers, body: this.#whole().subarray(from, end) } : null;
    }
    if (headers["transfer-encoding"] !== "chunked") return null;
    if (!part.subarray(-7).includes("0\r\n\r\n")) return null;
    const body = dechunked(this.#whole().subarray(from));
    return body && { status, headers, body };
  }

  /** What a closed connection leaves: an answer without a length is complete. */
  closed(): Read | null {
    if (!this.#head) return null;
    const { status, headers, from } = this.#head;
    const isDelimited = headers["content-length"] !== undefined || headers["transfer-encoding"] === "chunked";
    return isDelimited ? null : { status, headers, body: this.#whole().subarray(from) };
  }

  #readHead(): Head | null {
    const whole = this.#whole();
    const end = whole.indexOf("\r\n\r\n");
    if (end < 0) return null;
    const [first = "", ...lines] = whole.subarray(0, end).toString("latin1").split("\r\n");
    const headers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]));
    const status = Number(first.split(" ")[1]);
    if (status === 100) {
      this.#parts = [whole.subarray(end + 4)];
      this.#bytes = whole.length - end - 4;
      return this.#readHead();
    }
    return { status, headers, from: end + 4 };
  }

  #whole(): Buffer {
    if (this.#parts.length > 1) this.#parts = [Buffer.concat(this.#parts)];
    return this.#parts[0] ?? Buffer.alloc(0);
  }
}

function dechunked(bytes: Buffer): Buffer | null {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return null;
    const size = Number.parseInt(bytes.subarray(at, line).toString("latin1"), 16);
    if (size === 0) return Buffer.concat(parts);
    if (line + 2 + size + 2 > bytes.length) return null;
    parts.push(bytes.subarray(line + 2, line + 2 + size));
    at = line + 4 + size;
  }
}
