/** The world outside the mock; each part can be replaced by a test. */
export interface MockSaasOptions {
  /** Delivers the kyc callbacks. Default: the global `fetch`. A test in the same isolate passes its own app's. */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Epoch ms. Default: `Date.now`. */
  readonly now?: () => number;
  /** Resolves after so many ms, or as soon as the signal aborts. Default: `setTimeout`. */
  readonly wait?: (ms: number, signal: AbortSignal | null) => Promise<void>;
}

/** The options with every default filled in. */
export type World = Required<MockSaasOptions>;

export function worldOf(options: MockSaasOptions): World {
  return {
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    now: options.now ?? (() => Date.now()),
    wait: options.wait ?? waitWithTimer,
  };
}

function waitWithTimer(ms: number, signal: AbortSignal | null): Promise<void> {
  if (signal?.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end);
  });
}
