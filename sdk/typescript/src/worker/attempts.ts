/** The attempts that this worker runs, from assignment to settled result. */

import { performance } from "node:perf_hooks";

import { isStop, type StopCause } from "../errors.js";
import { StopReason } from "../gen/worker_service_pb.js";
import type { Key } from "../session/wire.js";
import { readAssignment } from "./assignment.js";
import { Attempt, type Ledger, type Runner } from "./attempt.js";
import { AttemptContext, type ProgressSink } from "./context.js";
import type { Registration } from "./handler.js";
import type { Logger } from "./log.js";
import { describe, noHandler, outOfTime } from "./outcome.js";
import type { Outbox } from "./outbox.js";
import { after } from "./timer.js";

/** What a handler has to clean up after its timeout before the timeout is reported without it. */
const UNWIND_TIME = 5000;
/** Handlers are begun for so long at a stretch; then what has come and is ready to go has its turn. */
const STRETCH = 10;

const CAUSES: Partial<Record<StopReason, StopCause>> = { [StopReason.LOST]: "lost", [StopReason.TIMEOUT]: "timeout" };

/** Whoever takes an attempt out of the map reports it, so nothing is reported twice. */
export class Attempts implements Ledger {
  readonly #registrations: ReadonlyMap<string, Registration>;
  readonly #outbox: Outbox;
  readonly #log: Logger;
  readonly #draining: AbortSignal;
  readonly #held = new Map<Key, Attempt>();
  readonly #waiting: Attempt[] = [];
  #idle: (() => void) | undefined;
  readonly #sink: ProgressSink;
  readonly #runnerOf: (registration: Registration) => Runner;

  constructor(parts: {
    readonly registrations: ReadonlyMap<string, Registration>;
    readonly outbox: Outbox;
    readonly log: Logger;
    readonly draining: AbortSignal;
    readonly progress: ProgressSink;
    readonly runnerOf: (registration: Registration) => Runner;
  }) {
    this.#registrations = parts.registrations;
    this.#outbox = parts.outbox;
    this.#log = parts.log;
    this.#draining = parts.draining;
    this.#sink = (key, fraction, message) => {
      if (this.#held.has(key)) parts.progress(key, fraction, message);
    };
    this.#runnerOf = parts.runnerOf;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Run a frame's assignments. */
  start(bytes: Buffer, starts: readonly number[], ends: readonly number[]): void {
    starts.forEach((start, index) => {
      const assignment = readAssignment(bytes, start, ends[index] ?? 0);
      const registration = this.#registrations.get(assignment.type);
      if (registration === undefined) {
        this.#outbox.failed(assignment.key, describe(noHandler(assignment.type)), 0);
        return;
      }
      const context = new AttemptContext(assignment, this.#draining, this.#sink);
      const attempt = new Attempt(assignment, context, registration);
      this.#held.set(assignment.key, attempt);
      if (attempt.timeout !== undefined) this.#limit(attempt, attempt.timeout);
      this.#waiting.push(attempt);
    });
    if (this.#waiting.length === starts.length) this.#begin();
  }

  #limit(attempt: Attempt, timeout: number): void {
    attempt.callOffTimer = after(timeout, () => {
      this.#timeOut(attempt);
    });
  }

  /** Begin handlers, but not all of a large frame's without a pause: some may take long before they wait for anything. */
  #begin(): void {
    const until = performance.now() + STRETCH;
    let next = 0;
    for (let attempt; (attempt = this.#waiting[next]) !== undefined && performance.now() < until; next++) {
      if (!attempt.done) this.#runnerOf(attempt.registration).start(attempt);
    }
    this.#waiting.splice(0, next);
    if (this.#waiting.length === 0) return;
    this.#outbox.flush();
    setImmediate(() => {
      this.#begin();
    });
  }

  /** Stop attempts as the dispatcher asks. */
  stop(stops: readonly { readonly key: Key; readonly reason: StopReason }[]): void {
    for (const { key, reason } of stops) {
      const attempt = this.#held.get(key);
      if (attempt === undefined) continue;
      const cause = CAUSES[reason] ?? "cancelled";
      this.#log.info(`the attempt is to stop: ${cause}`, fieldsOf(attempt));
      if (cause === "timeout") this.#timeOut(attempt);
      else {
        if (cause === "lost") this.#take(attempt);
        this.#tell(attempt, cause);
      }
    }
  }

  /** Wait until no attempt runs; false if that takes longer than `limit`. */
  idle(limit: number): Promise<boolean> {
    if (this.#held.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const callOff = after(limit, () => {
        this.#idle = undefined;
        resolve(false);
      });
      this.#idle = () => {
        callOff();
        resolve(true);
      };
    });
  }

  /** Tell all handlers to stop because the worker does. */
  shutDown(): void {
    for (const attempt of [...this.#held.values()]) this.#tell(attempt, "drain");
  }

  /** Hand back what still runs, but for what is decided already; how many is returned. */
  release(): number {
    const released: Key[] = [];
    for (const attempt of [...this.#held.values()]) {
      if (attempt.verdict !== undefined) this.#conclude(attempt);
      else if (this.#take(attempt)) released.push(attempt.context.key);
    }
    this.#outbox.released(released);
    return released.length;
  }

  /** End an attempt for what code of its handler did where the handler itself may never hear of it. */
  breakOff(attempt: Attempt, thrown: unknown): void {
    if (attempt.done || attempt.verdict !== undefined) return;
    if (this.#take(attempt)) this.#fail(attempt, thrown);
    attempt.context.stop("lost");
    this.#runnerOf(attempt.registration).stop(attempt);
  }

  // What came of an attempt

  returned(attempt: Attempt, text: string): void {
    if (attempt.verdict !== undefined) this.#conclude(attempt);
    else if (this.#take(attempt)) this.#outbox.returned(attempt.context.key, text, attempt.runTime);
  }

  failed(attempt: Attempt, thrown: unknown): void {
    const cause = attempt.context.stopCause;
    if (attempt.verdict !== undefined) this.#conclude(attempt);
    else if (!this.#take(attempt)) return;
    // We interrupted it: whatever it threw for that must not cost the task a failure.
    else if (cause === "drain" && describe(thrown, attempt.registration.nonRetryable).retryable)
      this.#outbox.released([attempt.context.key]);
    else if (cause === "cancelled" && isStop(thrown)) this.#outbox.cancelled(attempt.context.key, attempt.runTime);
    else this.#fail(attempt, thrown);
  }

  #tell(attempt: Attempt, cause: StopCause): void {
    if (!attempt.context.stop(cause)) return;
    this.#runnerOf(attempt.registration).stop(attempt);
    if (cause === "cancelled" && attempt.started === undefined && this.#take(attempt)) {
      this.#outbox.cancelled(attempt.context.key, 0);
    }
  }

  #timeOut(attempt: Attempt): void {
    if (attempt.done || attempt.verdict !== undefined) return;
    attempt.verdict = outOfTime(attempt.runTime);
    attempt.callOffTimer?.();
    this.#tell(attempt, "timeout");
    if (attempt.started === undefined || !this.#runnerOf(attempt.registration).unwinds) this.#conclude(attempt);
    else {
      // Its next attempt should not overlap with its cleaning up, but does not wait for ever.
      attempt.callOffTimer = after(UNWIND_TIME, () => {
        this.#conclude(attempt);
      });
    }
  }

  #conclude(attempt: Attempt): void {
    if (attempt.verdict !== undefined && this.#take(attempt)) this.#fail(attempt, attempt.verdict);
  }

  #fail(attempt: Attempt, thrown: unknown): void {
    const failure = describe(thrown, attempt.registration.nonRetryable);
    this.#outbox.failed(attempt.context.key, failure, attempt.runTime);
    this.#log.warn("the attempt failed", { ...fieldsOf(attempt), error: failure.type, why: failure.message });
  }

  /** Whether the attempt was still to be reported; it no longer is. */
  #take(attempt: Attempt): boolean {
    if (attempt.done) return false;
    attempt.done = true;
    attempt.callOffTimer?.();
    this.#held.delete(attempt.context.key);
    if (this.#held.size === 0) this.#idle?.();
    return true;
  }
}

/** What log lines say of an attempt. */
export function fieldsOf({ context }: Attempt): Readonly<Record<string, unknown>> {
  return { task_id: context.taskId, attempt: context.attempt, type: context.type };
}
