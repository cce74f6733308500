/**
 * Waiting for many tasks to end over few streams, however often connections break.
 *
 * Waits that begin in the same turn of the event loop share one WatchTasks stream. A stream's tasks are fixed when it
 * opens, so later waits need new streams; when there are many, the smaller half is merged into the next one.
 */

import { DeadlineExceeded, InvalidArgument, NotFound, TaskyardError, Unavailable } from "../errors.js";
import type { Task } from "../gen/task_pb.js";
import type { WatchTasksResponse } from "../gen/task_service_pb.js";
import { aborted, type Calls, onAbort, pause } from "./calls.js";
import { stateOf } from "./messages.js";
import { isTerminal } from "./models.js";

const MAX_IDS = 1000;
const STREAMS = 8;
/** A stream that lived this long was fine: when it breaks, the next one is opened without waiting. */
const HEALTHY_MS = 5_000;

/** Who waits for a task, and the stream that watches it once one does. */
interface Watched {
  readonly waits: Set<(outcome: Task | TaskyardError) => void>;
  stream: Stream | undefined;
}

/** One WatchTasks stream and the tasks of it that someone still waits for. */
interface Stream {
  readonly ids: Set<string>;
  readonly call: AbortController;
}

export class Watcher {
  readonly #calls: Calls;
  readonly #watched = new Map<string, Watched>();
  readonly #streams = new Set<Stream>();
  #opening = false;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** The task once it is terminal; throws NotFound, or what else the server says about watching it. */
  ended(id: string, signal: AbortSignal | undefined): Promise<Task> {
    return new Promise((resolve, reject) => {
      this.#add(id, wait);
      const deaf = onAbort(signal, (cause) => {
        this.#forget(id, wait);
        reject(aborted(cause, false));
      });
      function wait(outcome: Task | TaskyardError): void {
        deaf();
        if (outcome instanceof TaskyardError) reject(outcome);
        else resolve(outcome);
      }
    });
  }

  /** Fail all waits and end all streams. */
  close(): void {
    for (const id of [...this.#watched.keys()]) this.#settle(id, new Unavailable("the client was closed"));
  }

  #add(id: string, wait: (outcome: Task | TaskyardError) => void): void {
    const watched = this.#watched.get(id);
    if (watched) {
      watched.waits.add(wait);
      return;
    }
    this.#watched.set(id, { waits: new Set([wait]), stream: undefined });
    if (this.#opening) return;
    this.#opening = true;
    setImmediate(() => {
      this.#open();
    });
  }

  #forget(id: string, wait: (outcome: Task | TaskyardError) => void): void {
    const watched = this.#watched.get(id);
    if (watched?.waits.delete(wait) && watched.waits.size === 0) this.#unwatch(id);
  }

  #settle(id: string, outcome: Task | TaskyardError): void {
    for (const wait of this.#unwatch(id)) wait(outcome);
  }

  /** Stop watching the task; answers who waited for it. */
  #unwatch(id: string): Iterable<(outcome: Task | TaskyardError) => void> {
    const watched = this.#watched.get(id);
    if (!watched) return [];
    this.#watched.delete(id);
    const { stream } = watched;
    if (stream?.ids.delete(id) && stream.ids.size === 0) stream.call.abort();
    return watched.waits;
  }

  #open(): void {
    this.#opening = false;
    if (this.#streams.size >= STREAMS) this.#merge();
    const ids = [...this.#watched].filter(([, { stream }]) => !stream).map(([id]) => id);
    for (let start = 0; start < ids.length; start += MAX_IDS) this.#start(ids.slice(start, start + MAX_IDS));
  }

  // The smaller half: so a task moves on only when its stream has doubled, a few times at most.
  #merge(): void {
    const bySize = [...this.#streams].sort((one, other) => one.ids.size - other.ids.size);
    for (const stream of bySize.slice(0, STREAMS / 2).filter(({ ids }) => ids.size < MAX_IDS / 2)) {
      for (const id of stream.ids) {
        const watched = this.#watched.get(id);
        if (watched) watched.stream = undefined;
      }
      stream.ids.clear();
      this.#streams.delete(stream);
      stream.call.abort();
    }
  }

  #start(ids: readonly string[]): void {
    const stream: Stream = { ids: new Set(ids), call: new AbortController() };
    for (const id of ids) {
      const watched = this.#watched.get(id);
      if (watched) watched.stream = stream;
    }
    this.#streams.add(stream);
    void this.#follow(stream)
      .catch((error: unknown) => {
        const told =
          error instanceof TaskyardError ? error : new TaskyardError("watching failed", "", { cause: error });
        for (const id of [...stream.ids]) this.#settle(id, told);
      })
      .finally(() => this.#streams.delete(stream));
  }

  /** Read one stream after another until all of its tasks are over. An unavailable cluster is waited for without limit. */
  async #follow(stream: Stream): Promise<void> {
    const { clock } = this.#calls;
    for (let n = 0; stream.ids.size > 0; n++) {
      const opened = clock.now();
      const broken = await this.#read(stream);
      if (stream.ids.size === 0) return;
      if (broken && !(broken instanceof Unavailable) && !(broken instanceof DeadlineExceeded)) throw broken;
      if (clock.now() - opened >= HEALTHY_MS) n = -1;
      else await this.#rest(pause(n, clock.random()), stream.call.signal);
    }
  }

  async #rest(milliseconds: number, signal: AbortSignal): Promise<void> {
    await this.#calls.clock.sleep(milliseconds, signal).catch((reason: unknown) => {
      // Nobody waits any more, which the loop sees by itself.
      if (!signal.aborted) throw reason;
    });
  }

  /** Follow one stream to its end; answers why it broke, if it did. */
  async #read({ ids, call }: Stream): Promise<TaskyardError | undefined> {
    const asked = [...ids];
    const scheduler = await this.#calls.schedulers.next().catch(known);
    if (scheduler instanceof TaskyardError) return scheduler;
    try {
      for await (const response of scheduler.tasks.watchTasks({ ids: asked }, { signal: call.signal })) {
        this.#take(response);
      }
      return undefined;
    } catch (thrown) {
      if (call.signal.aborted) return undefined;
      const error = this.#calls.failure(scheduler, thrown);
      return error instanceof InvalidArgument && this.#settleNamed(asked, error) ? undefined : error;
    }
  }

  #take({ tasks, unknownIds }: WatchTasksResponse): void {
    for (const task of tasks) if (isTerminal(stateOf(task.state))) this.#settle(task.id, task);
    for (const id of unknownIds) this.#settle(id, new NotFound(`no task ${id}`, "NOT_FOUND"));
  }

  /** Fail the ids that the server doesn't take for ids, so that the others on the stream don't suffer. */
  #settleNamed(ids: readonly string[], { violations }: InvalidArgument): boolean {
    const places = violations
      .map(({ field }) => /^ids\[([0-9]+)\]$/.exec(field)?.[1])
      .filter((place) => place !== undefined);
    for (const id of places.map((place) => ids[Number(place)])) {
      const description = `${JSON.stringify(id)} ${violations[0]?.description ?? ""}`;
      if (id !== undefined) this.#settle(id, InvalidArgument.of("id", description));
    }
    return places.length > 0;
  }
}

function known(error: unknown): TaskyardError {
  if (error instanceof TaskyardError) return error;
  throw error;
}
