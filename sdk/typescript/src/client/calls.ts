/** Calls to a scheduler: a time limit for each, errors of our own, and retries of what is safe to repeat. */

import type { CallOptions as TransportOptions } from "@connectrpc/connect";

import { DeadlineExceeded, type TaskyardError, Unavailable } from "../errors.js";
import type { Clock } from "./clock.js";
import type { Services } from "./connection.js";
import type { SchedulerSource } from "./schedulers.js";
import { ofCall } from "./status.js";

/** Starts one call at a scheduler. */
export type Send<Answer> = (scheduler: Services, options: TransportOptions) => Promise<Answer>;

export interface CallRules {
  /** Whether it does no harm to carry it out twice. Default true. */
  readonly repeatable?: boolean;
  readonly signal?: AbortSignal | undefined;
}

const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

/** How long to wait before try n (0 for the first retry): drawn at random, so that clients do not come back as one. */
export function pause(n: number, random: number): number {
  return random * Math.min(FIRST_PAUSE_MS * 2 ** Math.min(n, 30), LONGEST_PAUSE_MS);
}

export class Calls {
  readonly schedulers: SchedulerSource;
  readonly clock: Clock;
  readonly #timeLimit: number;

  constructor(schedulers: SchedulerSource, clock: Clock, timeLimit: number) {
    this.schedulers = schedulers;
    this.clock = clock;
    this.#timeLimit = timeLimit;
  }

  /**
   * The answer; throws TaskyardError. A call that did not reach a scheduler is tried again, at another one if there are
   * several. One whose outcome is unknown is tried again only if it is repeatable.
   */
  async call<Answer>(send: Send<Answer>, { repeatable = true, signal }: CallRules = {}): Promise<Answer> {
    const deadline = this.clock.now() + this.#timeLimit;
    let unknown = false;
    for (let n = 0; ; n++) {
      const got = await this.#once(send, deadline, signal).catch(unavailable);
      if (!(got instanceof Unavailable)) return got;
      // What one try has left unknown stays so, though the next ones surely don't arrive.
      unknown ||= got.outcomeUnknown;
      if (got.outcomeUnknown && !repeatable) throw got;
      const rest = n === 0 && this.schedulers.anyAwake ? 0 : pause(n, this.clock.random());
      if (this.clock.now() + rest >= deadline) throw withOutcome(got, unknown);
      await this.#sleep(rest, signal, unknown);
    }
  }

  /** The answer to a call that changes nothing, and so leaves nothing unknown when it fails. */
  async ask<Answer>(send: Send<Answer>, signal?: AbortSignal): Promise<Answer> {
    try {
      return await this.call(send, { signal });
    } catch (error) {
      throw withOutcome(error, false);
    }
  }

  /** The error for a call that failed at a scheduler, which rests from now on if it is away. */
  failure(scheduler: Services, thrown: unknown): TaskyardError {
    const error = ofCall(thrown, scheduler.address);
    if (error instanceof Unavailable) this.schedulers.avoid(scheduler);
    else this.schedulers.trust(scheduler);
    return error;
  }

  async #once<Answer>(send: Send<Answer>, deadline: number, signal: AbortSignal | undefined): Promise<Answer> {
    if (signal?.aborted) throw aborted(signal, false);
    const scheduler = await this.schedulers.next();
    try {
      const timeoutMs = Math.max(Math.ceil(deadline - this.clock.now()), 1);
      const answer = await send(scheduler, signal ? { timeoutMs, signal } : { timeoutMs });
      this.schedulers.trust(scheduler);
      return answer;
    } catch (error) {
      if (signal?.aborted) throw aborted(signal, true);
      throw this.failure(scheduler, error);
    }
  }

  async #sleep(milliseconds: number, signal: AbortSignal | undefined, unknown: boolean): Promise<void> {
    if (milliseconds === 0) return;
    await this.clock.sleep(milliseconds, signal).catch((reason: unknown) => {
      throw signal?.aborted ? aborted(signal, unknown) : reason;
    });
  }
}

/** Calls `listener` once the signal is aborted, at once if it is. Answers how to stop listening. */
export function onAbort(signal: AbortSignal | undefined, listener: (signal: AbortSignal) => void): () => void {
  if (!signal) return () => undefined;
  const told = (): void => {
    listener(signal);
  };
  if (signal.aborted) told();
  else signal.addEventListener("abort", told, { once: true });
  return () => {
    signal.removeEventListener("abort", told);
  };
}

/** What an aborted call throws: the signal's reason, or DeadlineExceeded for a signal that times out. */
export function aborted(signal: AbortSignal, outcomeUnknown: boolean): Error {
  const reason = signal.reason as Error;
  if (!(reason instanceof Error) || reason.name !== "TimeoutError") return reason;
  const error = new DeadlineExceeded("the caller's time limit passed", outcomeUnknown);
  error.cause = reason;
  return error;
}

function unavailable(error: unknown): Unavailable {
  if (error instanceof Unavailable) return error;
  throw error;
}

/** The error, telling whether the request may have been carried out. */
function withOutcome(error: unknown, unknown: boolean): unknown {
  if (error instanceof Unavailable) {
    return new Unavailable(error.message, unknown, error.reason, { cause: error.cause });
  }
  if (!(error instanceof DeadlineExceeded)) return error;
  const told = new DeadlineExceeded(error.message, unknown);
  told.cause = error.cause;
  return told;
}
