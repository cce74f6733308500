/** What a handler knows about the attempt it runs. */

import { InvalidArgument, StopError, type StopCause } from "../errors.js";
import type { Key } from "../session/wire.js";
import type { Assignment } from "./assignment.js";

/** One attempt, as its handler sees it. */
export interface Context {
  readonly taskId: string;
  readonly attempt: number;
  /** The fencing token: hand it to whatever must refuse an older attempt. */
  readonly token: readonly [taskId: string, attempt: number];
  readonly type: string;
  readonly queue: string;
  /** Earlier attempts whose handler failed. */
  readonly failures: number;
  /** Earlier attempts whose worker was lost. */
  readonly crashes: number;
  /** W3C trace context of the submitter; empty if there was none. */
  readonly traceparent: string;
  /** When the task was submitted. */
  readonly createdAt: Date;
  /** When this attempt times out by this machine's clock; undefined if it may run for ever. */
  readonly deadline: Date | undefined;
  /** Aborted when the handler shall stop; its reason is a `StopError`, whose `stop` says why. */
  readonly signal: AbortSignal;
  /** Aborted when the worker begins to shut down. The handler may finish: `signal` follows after the grace. */
  readonly draining: AbortSignal;
  /**
   * Report how far the work has come, 0 to 1. Cheap: only the latest of each half second is sent. The message is cut at
   * 1000 characters.
   */
  progress(fraction: number, message?: string): void;
}

export type ProgressSink = (key: Key, fraction: number, message: string) => void;

const MAX_PROGRESS_MESSAGE = 1000;
/** A later cause replaces an earlier one only if it stands behind it. */
const CAUSES: readonly StopCause[] = ["drain", "cancelled", "timeout", "lost"];

/** The context, with the end that the worker holds. */
export class AttemptContext implements Context {
  readonly key: Key;
  readonly taskId: string;
  readonly attempt: number;
  readonly type: string;
  readonly queue: string;
  readonly failures: number;
  readonly crashes: number;
  readonly traceparent: string;
  readonly draining: AbortSignal;
  readonly #created: number;
  readonly #deadline: number | undefined;
  readonly #sink: ProgressSink;
  // Made when it is asked for: it costs more than all else here.
  #controller: AbortController | undefined;
  #stopCause: StopCause | undefined;

  constructor(assignment: Assignment, draining: AbortSignal, sink: ProgressSink) {
    this.key = assignment.key;
    this.taskId = assignment.taskId;
    this.attempt = assignment.attempt;
    this.type = assignment.type;
    this.queue = assignment.queue;
    this.failures = assignment.failures;
    this.crashes = assignment.crashes;
    this.traceparent = assignment.traceparent;
    this.draining = draining;
    this.#created = assignment.createdAt;
    this.#deadline = assignment.timeout === undefined ? undefined : Date.now() + assignment.timeout;
    this.#sink = sink;
  }

  get token(): readonly [string, number] {
    return [this.taskId, this.attempt];
  }

  get createdAt(): Date {
    return new Date(this.#created);
  }

  get deadline(): Date | undefined {
    return this.#deadline === undefined ? undefined : new Date(this.#deadline);
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#stopCause !== undefined) this.#controller.abort(new StopError(this.#stopCause));
    }
    return this.#controller.signal;
  }

  progress(fraction: number, message = ""): void {
    if (!(fraction >= 0 && fraction <= 1)) throw InvalidArgument.of("fraction", `must be 0 to 1, got ${fraction}`);
    const text =
      message.length > MAX_PROGRESS_MESSAGE ? Array.from(message).slice(0, MAX_PROGRESS_MESSAGE).join("") : message;
    this.#sink(this.key, fraction, text.toWellFormed());
  }

  /** Why it was told to stop; undefined: it was not. */
  get stopCause(): StopCause | undefined {
    return this.#stopCause;
  }

  /** Tell the handler to stop. False: it was told already, for as good a reason. */
  stop(cause: StopCause): boolean {
    if (this.#stopCause !== undefined && CAUSES.indexOf(cause) <= CAUSES.indexOf(this.#stopCause)) return false;
    this.#stopCause = cause;
    this.#controller?.abort(new StopError(cause));
    return true;
  }
}
