/** A submitted task, as its submitter holds it. */

import type { Client } from "./client.js";
import type { CallOptions, Task, TaskState, WaitOptions } from "./models.js";

/** How the value that a handler returned is read. */
export type ReadResult<Output> = (result: unknown) => Output | Promise<Output>;

/** A durable task. */
export class TaskHandle<Output = unknown> {
  readonly id: string;
  /** Its idempotency key was known, so this is the task that was submitted first. */
  readonly deduplicated: boolean;
  readonly #client: Client;
  readonly #read: ReadResult<Output>;

  /** @internal */
  constructor(client: Client, id: string, deduplicated: boolean, read: ReadResult<Output>) {
    this.#client = client;
    this.#read = read;
    this.id = id;
    this.deduplicated = deduplicated;
  }

  /**
   * What the handler returned, once the task is over. Without `timeout` or `signal` it waits as long as it takes, also
   * while the cluster is away; many waits at once are cheap. Throws `TaskFailed`, `TaskCancelled` or `TaskExpired` for a
   * task without a result, `DeadlineExceeded` when the time is up (the task goes on), `NotFound` if it was purged.
   */
  async result(options: WaitOptions = {}): Promise<Output> {
    return this.#read(await this.#client.result(this.id, options));
  }

  /** The task once it is over, however it ended. */
  wait(options: WaitOptions = {}): Promise<Task> {
    return this.#client.wait(this.id, options);
  }

  /** The task as it is now. */
  get(options: CallOptions = {}): Promise<Task> {
    return this.#client.get(this.id, options);
  }

  /** Where the task stands now. */
  async state(options: CallOptions = {}): Promise<TaskState> {
    return (await this.get(options)).state;
  }

  /** Cancel the task; see `Client.cancel`. */
  cancel(options: CallOptions = {}): Promise<Task> {
    return this.#client.cancel(this.id, options);
  }
}
