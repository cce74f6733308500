// What chaos workers do with a task, as its payload says; the twin of chaos/workloads/performance.py.
import { createHash } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { type Context, NonRetryable } from "@taskyard/sdk";

/** Every task type of every workload, but those of `hostile`: what they do to themselves is Python's own. */
export const TYPES = [
  "chaos.plain",
  "chaos.slow",
  "chaos.priority",
  "chaos.placed",
  "chaos.large",
  "chaos.flaky",
  "chaos.hopeless",
  "chaos.failing",
  "chaos.shaky",
  "chaos.poison",
  "chaos.keyed",
  "chaos.delayed",
  "chaos.cancelled",
  "chaos.redriven",
  "chaos.row",
] as const;

/** What a handler is told to do. */
export interface Payload {
  readonly token: string;
  /** How long it takes. */
  readonly seconds?: number;
  /** Of its workers, how many die of it. */
  readonly kills?: number;
  /** How often it fails before it succeeds. */
  readonly failures?: number;
  /** It fails for good. */
  readonly hopeless?: boolean;
  /** It fails for good before this attempt. */
  readonly hopeless_before?: number;
  readonly bulk?: string;
  /** The bulk comes back. */
  readonly echo?: boolean;
  /** Bytes that the result has. */
  readonly returns?: number;
}

export interface Result {
  readonly token: string;
  readonly attempt: number;
  readonly echo: string;
}

/** It was told to fail, and may succeed next time. */
export class Unlucky extends Error {}

/** It was told to fail for good. */
export class Hopeless extends NonRetryable {}

// A worker that runs keeps its handlers from ending the program.
const exit = process.exit.bind(process);

/** Takes the time, dies, fails or succeeds. */
export async function perform(context: Context, payload: Payload): Promise<Result> {
  const { attempt, failures, crashes, signal } = context;
  if (crashes < (payload.kills ?? 0)) die();
  if (payload.seconds) await setTimeout(payload.seconds * 1000, undefined, { signal });
  if (payload.hopeless || attempt < (payload.hopeless_before ?? 0)) throw new Hopeless(`attempt ${attempt}`);
  if (failures < (payload.failures ?? 0)) throw new Unlucky(`after ${failures} failures`);
  return result(payload, attempt);
}

/** What an attempt returns: unlike what any other attempt does. */
export function result({ token, bulk, echo, returns }: Payload, attempt: number): Result {
  const returned = { token, attempt, echo: echo ? (bulk ?? "") : "" };
  if (!returns) return returned;
  return { ...returned, echo: "x".repeat(Math.max(0, returns - encoded(returned).length)) };
}

/** A result's name in the journal; the audit computes the same of what was stored. */
export function digestOf(returned: Result): string {
  return createHash("sha256").update(encoded(returned)).digest("hex").slice(0, 16);
}

/** A result as the SDK sends it. */
export function encoded(returned: Result): Buffer {
  return Buffer.from(JSON.stringify(returned), "utf8");
}

function die(): never {
  process.kill(process.pid, "SIGKILL");
  return exit(128 + 9); // process 1 of a container survives its own signal
}
