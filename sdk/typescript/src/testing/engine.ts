/** Runs tasks in this process, by the worker's own code for attempts. */

import { EventEmitter, once } from "node:events";

import { create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";

import { milliseconds } from "../client/times.js";
import { isStop, type StopCause } from "../errors.js";
import { ProgressSchema, type TaskSpec, TaskState } from "../gen/task_pb.js";
import { keyOf } from "../session/wire.js";
import type { Assignment } from "../worker/assignment.js";
import { Attempt, type Ledger } from "../worker/attempt.js";
import { AttemptContext } from "../worker/context.js";
import type { Registration } from "../worker/handler.js";
import { isIsolated } from "../worker/isolated.js";
import { LoopRunner } from "../worker/loop-runner.js";
import { describe, outOfTime } from "../worker/outcome.js";
import * as entries from "./entries.js";
import { VirtualTime } from "./time.js";

export class Engine implements Ledger {
  readonly time: VirtualTime;
  readonly entries = new Map<string, entries.Entry>();
  readonly #registrations: ReadonlyMap<string, Registration>;
  readonly #runner = new LoopRunner(this);
  readonly #running = new Map<string, Attempt>();
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #never = new AbortController();
  #accepted = 0;

  constructor(registrations: ReadonlyMap<string, Registration>, start: number) {
    this.#registrations = registrations;
    this.time = new VirtualTime(start);
  }

  accept(spec: TaskSpec): entries.Entry {
    const id = `00000000-0000-7000-8000-${String(++this.#accepted).padStart(12, "0")}`;
    const entry = entries.accepted(id, spec, this.time.now);
    this.entries.set(id, entry);
    if (spec.expiresAt) {
      this.time.at(timestampMs(spec.expiresAt), () => {
        if (entry.task.startedAt === undefined && !entries.isOver(entry)) this.#change(entry, entries.expire);
      });
    }
    this.schedule(entry);
    return entry;
  }

  /** Begin to run a task at its time. */
  schedule(entry: entries.Entry): void {
    const { task } = entry;
    if (task.state !== TaskState.SCHEDULED && task.state !== TaskState.QUEUED) return;
    const runAt = task.runAt ? timestampMs(task.runAt) : 0;
    const current = task.runAt;
    const start = (): void => {
      if (entries.isOver(entry) || task.state === TaskState.RUNNING || task.runAt !== current) return;
      task.state = TaskState.QUEUED;
      this.#start(entry);
    };
    if (runAt > this.time.now) this.time.at(runAt, start);
    else setImmediate(start);
  }

  cancel(entry: entries.Entry): void {
    const running = this.#running.get(entry.task.id);
    this.#change(entry, entries.cancel);
    running?.context.stop("cancelled");
  }

  redrive(entry: entries.Entry): void {
    this.#change(entry, entries.redrive);
  }

  /** Resolves at the next change of any task. */
  async changed(signal: AbortSignal): Promise<void> {
    await once(this.#changes, "change", { signal }).catch(() => undefined);
  }

  /** Let the time pass up to `until`, with a turn of the event loop for what each moment begins. */
  async advance(until: number): Promise<void> {
    for (;;) {
      await turn();
      const next = this.time.next;
      if (next === undefined || next > until) break;
      this.time.step();
    }
    this.time.pass(until);
    await turn();
  }

  /** Let the time pass that a task which waits for its time needs; whether it needed any. */
  async passFor({ task }: entries.Entry): Promise<void> {
    await turn();
    if (task.state === TaskState.SCHEDULED && this.time.next !== undefined) this.time.step();
  }

  #change(entry: entries.Entry, change: (entry: entries.Entry, now: number) => void): void {
    change(entry, this.time.now);
    this.schedule(entry);
    this.#changes.emit("change");
  }

  #start(entry: entries.Entry): void {
    const registration = this.#registrations.get(entry.task.type);
    // As in a cluster where nobody serves the type: it stays QUEUED.
    if (!registration) return;
    entries.claim(entry, this.time.now);
    const assignment = assignmentOf(entry);
    const context = new AttemptContext(assignment, this.#never.signal, (_key, fraction, message) => {
      entry.task.progress = create(ProgressSchema, { fraction, message });
    });
    const attempt = new Attempt(assignment, context, registration);
    this.#running.set(entry.task.id, attempt);
    if (assignment.timeout !== undefined) {
      attempt.callOffTimer = this.time.at(this.time.now + assignment.timeout, () => {
        this.#timeOut(attempt, assignment.timeout ?? 0);
      });
    }
    void this.#run(attempt);
  }

  async #run(attempt: Attempt): Promise<void> {
    const { run } = attempt.registration;
    if (!(run instanceof URL)) {
      this.#runner.start(attempt);
      return;
    }
    try {
      const { default: found } = (await import(run.href)) as { default?: unknown };
      const registration = isIsolated(found)
        ? { ...found, run: found.handler }
        : { ...attempt.registration, run: found as Exclude<Registration["run"], URL> };
      this.#runner.start(Object.assign(attempt, { registration }));
    } catch (error) {
      this.failed(attempt, error);
    }
  }

  returned(attempt: Attempt, text: string): void {
    this.#settle(attempt, (entry, now) => {
      entries.succeed(entry, text, now);
    });
  }

  failed(attempt: Attempt, thrown: unknown): void {
    const stop: StopCause | undefined = attempt.context.stopCause;
    if (stop === "cancelled" && isStop(thrown)) this.#settle(attempt, entries.cancelled);
    else {
      const failure = describe(thrown, attempt.registration.nonRetryable);
      this.#settle(attempt, (entry, now) => {
        entries.fail(entry, failure, now);
      });
    }
  }

  #timeOut(attempt: Attempt, timeout: number): void {
    const failure = describe(outOfTime(timeout));
    attempt.context.stop("timeout");
    this.#settle(attempt, (entry, now) => {
      entries.fail(entry, failure, now);
    });
  }

  #settle(attempt: Attempt, change: (entry: entries.Entry, now: number) => void): void {
    if (attempt.done) return;
    attempt.done = true;
    attempt.callOffTimer?.();
    this.#running.delete(attempt.assignment.taskId);
    const entry = this.entries.get(attempt.assignment.taskId);
    if (entry) this.#change(entry, change);
  }
}

function assignmentOf({ task }: entries.Entry): Assignment {
  return {
    key: keyOf(task.id, task.attempt),
    taskId: task.id,
    attempt: task.attempt,
    type: task.type,
    payload: Buffer.from(task.payload).toString("utf8") || "null",
    queue: task.queue,
    timeout: task.timeout && milliseconds(task.timeout),
    failures: task.failures,
    crashes: task.crashes,
    traceparent: task.traceparent,
    createdAt: task.createdAt ? timestampMs(task.createdAt) : 0,
  };
}

/** What is ready to run in this event loop has its turn. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
