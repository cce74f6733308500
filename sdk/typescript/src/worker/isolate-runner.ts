/** Runs handlers in threads of their own, one attempt at a time in each. A thread can be ended from outside. */

import { performance } from "node:perf_hooks";
import { Worker as Thread } from "node:worker_threads";

import { StopError } from "../errors.js";
import type { Attempt, Ledger, Runner } from "./attempt.js";
import type { ProgressSink } from "./context.js";
import type { FromIsolate, ToIsolate } from "./isolate-messages.js";
import { crashed, WordedFailure, type Failure } from "./outcome.js";

/** A failure that was described in another thread. */
class ForeignFailure extends WordedFailure {
  constructor(failure: Failure) {
    super(failure.type, failure.message, failure.retryable);
    this.stack = failure.stack;
  }
}

export class IsolateRunner implements Runner {
  readonly unwinds = false;
  readonly #place: URL;
  readonly #most: number;
  readonly #ledger: Ledger;
  readonly #progress: ProgressSink;
  readonly #idle: Thread[] = [];
  readonly #busy = new Map<Thread, Attempt>();
  readonly #waiting = new Set<Attempt>();
  readonly #threads = new Set<Thread>();
  #closed = false;

  /** `place` is the file of the threads, of which there are `most`. */
  constructor(place: URL, most: number, ledger: Ledger, progress: ProgressSink) {
    this.#place = place;
    this.#most = most;
    this.#ledger = ledger;
    this.#progress = progress;
  }

  start(attempt: Attempt): void {
    this.#waiting.add(attempt);
    this.#assign();
  }

  stop(attempt: Attempt): void {
    this.#waiting.delete(attempt);
    for (const [thread, own] of this.#busy) {
      if (own === attempt) this.#stopIn(thread, attempt);
    }
  }

  /** Tell all that the worker shuts down. */
  drain(): void {
    for (const thread of this.#threads) post(thread, { do: "drain" });
  }

  /** End all threads; whatever runs in them ends with them. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    await Promise.all([...this.#threads].map((thread) => thread.terminate()));
  }

  #stopIn(thread: Thread, attempt: Attempt): void {
    const cause = attempt.context.stopCause;
    if (cause === undefined) return;
    post(thread, { do: "stop", cause });
    if (cause === "timeout" || cause === "lost") this.#end(thread);
  }

  /** End a thread for good; another takes its place. */
  #end(thread: Thread): void {
    this.#forget(thread);
    void thread.terminate();
    this.#assign();
  }

  #assign(): void {
    for (const attempt of this.#waiting) {
      const thread = this.#idle.pop() ?? this.#open();
      if (thread === undefined) return;
      this.#waiting.delete(attempt);
      this.#run(thread, attempt);
    }
  }

  #run(thread: Thread, attempt: Attempt): void {
    this.#busy.set(thread, attempt);
    attempt.started = performance.now();
    post(thread, { do: "run", module: String(attempt.registration.run), assignment: attempt.assignment });
  }

  #open(): Thread | undefined {
    if (this.#closed || this.#threads.size >= this.#most) return undefined;
    const thread = new Thread(this.#place, { name: "taskyard-isolate", execArgv: [] });
    this.#threads.add(thread);
    thread.on("message", (message: FromIsolate) => {
      this.#take(thread, message);
    });
    thread.on("error", (error) => {
      this.#died(thread, isOfThread(error) ? crashed(`the handler's thread ended: ${error.message}`) : error);
    });
    thread.on("exit", (code) => {
      this.#died(thread, crashed(`the handler's thread ended with exit code ${code}`));
    });
    return thread;
  }

  #take(thread: Thread, message: FromIsolate): void {
    const attempt = this.#busy.get(thread);
    if (attempt === undefined) return;
    if (message.tell === "progress") {
      this.#progress(attempt.context.key, message.fraction, message.message);
      return;
    }
    this.#busy.delete(thread);
    this.#idle.push(thread);
    if (message.tell === "returned") this.#ledger.returned(attempt, message.text);
    else this.#ledger.failed(attempt, thrownBy(message, attempt));
    this.#assign();
  }

  #died(thread: Thread, why: unknown): void {
    const attempt = this.#busy.get(thread);
    this.#forget(thread);
    if (attempt !== undefined && !this.#closed) this.#ledger.failed(attempt, why);
    this.#assign();
  }

  #forget(thread: Thread): void {
    this.#threads.delete(thread);
    this.#busy.delete(thread);
    const place = this.#idle.indexOf(thread);
    if (place >= 0) this.#idle.splice(place, 1);
  }
}

function thrownBy({ failure, ofStop, final }: FromIsolate & { tell: "failed" }, { context }: Attempt): unknown {
  if (ofStop && !final && context.stopCause !== undefined) return new StopError(context.stopCause);
  return new ForeignFailure(failure);
}

/** Whether it tells of the thread, e.g. that it ran out of memory, and not of the handler's code. */
function isOfThread(error: Error): boolean {
  return "code" in error && String(error.code).startsWith("ERR_WORKER_");
}

function post(thread: Thread, message: ToIsolate): void {
  thread.postMessage(message);
}
