/** Time and chance, which tests replace. */
export interface Clock {
  /** Milliseconds of a clock that never goes back. */
  now(): number;
  /** Resolves after a while; rejects with the signal's reason once it is aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** 0 to below 1. */
  random(): number;
}

const LONGEST_TIMER = 0x7fffffff; // longer ones fire at once

/** The machine's. */
export const systemClock: Clock = {
  now: () => performance.now(),
  random: () => Math.random(),
  async sleep(milliseconds, signal) {
    for (let left = milliseconds; left > 0; left -= LONGEST_TIMER) {
      await timer(Math.min(left, LONGEST_TIMER), signal);
    }
  },
};

function timer(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      clearTimeout(running);
      reject(signal?.reason as Error);
    };
    const running = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}
