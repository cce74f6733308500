// What chaos/history/journal.py reads: a JSON line for each event of a worker, in a file that only grows.
import { mkdirSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** An attempt by a worker's own log: worker, session, task, attempt. */
export type Attempt = readonly [worker: string, session: string, task: string, attempt: number];
export type Outcome = "SUCCEEDED" | "FAILED" | "HOPELESS" | "STOPPED";
type Event =
  | readonly ["Started", at: number, ...Attempt]
  | readonly ["Ended", at: number, ...Attempt, outcome: Outcome, result: string | null];

const monotonic = (): number => {
  const [seconds, nanoseconds] = process.hrtime();
  return seconds + nanoseconds / 1e9;
};

/**
 * Seconds since the epoch by the monotonic clock, so that nothing that is done to the wall clock shows.
 *
 * `epoch` is when the monotonic clock stood at zero; without it, what the wall clock says now is believed once.
 */
export function steadyClock(epoch = Date.now() / 1000 - monotonic()): () => number {
  return () => epoch + monotonic();
}

/** Appends events to a file. A line is written by one append, so it outlives a SIGKILL of its writer. */
export class Journal {
  readonly #file: number;

  constructor(
    path: string,
    /** Seconds since the epoch. */
    readonly now: () => number,
  ) {
    mkdirSync(dirname(path), { recursive: true });
    this.#file = openSync(path, "a", 0o644);
  }

  /** Writes the event; when this returns, the kernel has it. */
  append(event: Event): void {
    const line = Buffer.from(`${JSON.stringify(event)}\n`, "utf8");
    if (writeSync(this.#file, line) < line.length) throw new Error("the journal's disk is full");
  }
}
