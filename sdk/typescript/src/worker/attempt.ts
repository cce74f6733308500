/** One attempt under way, and the marks that decide who reports it. */

import { performance } from "node:perf_hooks";

import type { Assignment } from "./assignment.js";
import type { AttemptContext } from "./context.js";
import type { Registration } from "./handler.js";

export class Attempt {
  readonly context: AttemptContext;
  readonly registration: Registration;
  readonly timeout: number | undefined;
  /** When its handler began. */
  started: number | undefined;
  /** Reported, released or lost: nothing of it is wanted any more. */
  done = false;
  /** What it fails with whatever its handler still does: it only gets a moment to clean up. */
  verdict: Error | undefined;
  callOffTimer: (() => void) | undefined;

  constructor(
    readonly assignment: Assignment,
    context: AttemptContext,
    registration: Registration,
  ) {
    this.context = context;
    this.registration = registration;
    this.timeout = assignment.timeout;
  }

  /** How long its handler has been running. */
  get runTime(): number {
    return this.started === undefined ? 0 : performance.now() - this.started;
  }
}

/** What every way of running handlers has in common. */
export interface Runner {
  start(attempt: Attempt): void;
  /** Pass on that it shall stop; the context has been told. */
  stop(attempt: Attempt): void;
  /** Whether a handler is given time to clean up after its timeout: not one that is ended from outside. */
  readonly unwinds: boolean;
}

/** Where runners bring what came of an attempt. */
export interface Ledger {
  returned(attempt: Attempt, text: string): void;
  failed(attempt: Attempt, thrown: unknown): void;
}
