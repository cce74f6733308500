/** The client: submit tasks, wait for them, look after them. */

import { create } from "@bufbuild/protobuf";

import type { TaskDefinition, TaskTypes } from "../definition.js";
import { DeadlineExceeded, ServerError, TaskyardError } from "../errors.js";
import { type ListTasksRequest, ListTasksRequestSchema, type ListTasksResponse } from "../gen/task_service_pb.js";
import { submitAll } from "./batches.js";
import { Calls, type Send } from "./calls.js";
import { systemClock } from "./clock.js";
import { Coalescer } from "./coalescer.js";
import { TaskHandle } from "./handle.js";
import * as messages from "./messages.js";
import type * as models from "./models.js";
import { type Addresses, type ClientOptions, clientSettings, merged } from "./options.js";
import { type DefinitionOf, prepared, preparedOrError, reading, type TaskRequest } from "./requests.js";
import { Schedulers, type SchedulerSource } from "./schedulers.js";
import { atLeastOne, taskFilter, taskId } from "./specs.js";
import { TOO_LARGE } from "./status.js";
import { TaskCancelled, TaskExpired, TaskFailed, type TaskUnsuccessful } from "./unsuccessful.js";
import { Watcher } from "./watcher.js";

const TASKS_PER_PAGE = 100;
const ATTEMPTS_PER_PAGE = 200;
const UNSUCCESSFUL: Partial<Record<models.TaskState, typeof TaskUnsuccessful>> = {
  FAILED: TaskFailed,
  CANCELLED: TaskCancelled,
  EXPIRED: TaskExpired,
};

/**
 * Talks to a Taskyard cluster: `await using client = new Client("localhost:7070")`.
 *
 * Every method throws a `TaskyardError`, or what its `signal` was aborted with. Calls that don't reach a scheduler are
 * retried until `timeLimit`, and so are calls whose answer is lost if doing them twice does no harm. A submit without an
 * idempotency key is not such a call: when its answer is lost it throws `Unavailable` with `outcomeUnknown` true. Give a
 * key, or set `generateKeys`, to have it retried.
 */
export class Client implements AsyncDisposable {
  readonly namespace: string;
  readonly #schedulers: SchedulerSource;
  readonly #calls: Calls;
  readonly #coalescer: Coalescer;
  readonly #watcher: Watcher;
  readonly #generateKeys: boolean;

  /** `target` is the address, as in `ClientOptions`, or the options themselves. */
  constructor(target?: Addresses | ClientOptions, options?: ClientOptions);
  /** @internal */
  constructor(target: ClientOptions, options: ClientOptions, schedulers: SchedulerSource);
  constructor(target: Addresses | ClientOptions = {}, options: ClientOptions = {}, schedulers?: SchedulerSource) {
    const settings = clientSettings(merged(target, options), process.env);
    this.namespace = settings.namespace;
    this.#schedulers = schedulers ?? new Schedulers(settings.addresses, settings.tls, systemClock);
    this.#calls = new Calls(this.#schedulers, systemClock, settings.timeLimit);
    this.#coalescer = new Coalescer(this.#calls);
    this.#watcher = new Watcher(this.#calls);
    this.#generateKeys = settings.generateKeys;
  }

  /** Ends what is still on its way with `Unavailable`, and closes the connections. */
  close(): Promise<void> {
    this.#coalescer.close();
    this.#watcher.close();
    this.#schedulers.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Hand over one task; once this resolves, it is durable. Submits made at the same time travel in one call. Aborted
   * before the task was sent, it is never sent; aborted later, the outcome is unknown.
   */
  submit<Types extends TaskTypes>(
    task: TaskDefinition<Types>,
    input: Types["submitted"],
    options?: models.TaskOptions & models.CallOptions,
  ): Promise<TaskHandle<Types["output"]>>;
  submit(type: string, payload?: unknown, options?: models.TaskOptions & models.CallOptions): Promise<TaskHandle>;
  async submit(
    task: string | TaskDefinition,
    payload?: unknown,
    { signal, ...options }: models.TaskOptions & models.CallOptions = {},
  ): Promise<TaskHandle> {
    const parcel = await prepared({ ...options, task, payload }, this.namespace, this.#generateKeys);
    const { id, deduplicated } = await this.#coalescer.submit(parcel, signal);
    return new TaskHandle(this, id, deduplicated, reading(task));
  }

  /**
   * Hand over any number of tasks, in as many calls as it takes; one outcome for each, in order. It throws nothing for
   * single tasks: the outcome of one that was refused, or whose call failed, is its error.
   */
  async submitMany<Output>(
    requests: Iterable<TaskRequest<Output>>,
    { signal }: models.CallOptions = {},
  ): Promise<(TaskHandle<Output> | TaskyardError)[]> {
    const tasks: TaskRequest<Output>["task"][] = [];
    const outcomes = await submitAll(this.#calls, this.#parcels(requests, tasks), signal);
    return outcomes.map((outcome, n) =>
      outcome instanceof TaskyardError
        ? outcome
        : new TaskHandle(this, outcome.id, outcome.deduplicated, reading(tasks[n] ?? "")),
    );
  }

  *#parcels<Output>(
    requests: Iterable<TaskRequest<Output>>,
    tasks: TaskRequest<Output>["task"][],
  ): Generator<ReturnType<typeof preparedOrError>> {
    for (const request of requests) {
      tasks.push(request.task);
      yield preparedOrError(request, this.namespace, this.#generateKeys);
    }
  }

  /** The task as it is now; throws `NotFound`. */
  async get(id: string, { signal }: models.CallOptions = {}): Promise<models.Task> {
    const request = { id: taskId(id) };
    return messages.task(await this.#calls.ask((at, options) => at.tasks.getTask(request, options), signal));
  }

  /** A handle on a task submitted earlier or elsewhere; asks nothing of the server. */
  handle<Output = unknown>(id: string, task: string | DefinitionOf<Output> = ""): TaskHandle<Output> {
    return new TaskHandle(this, taskId(id), false, reading(task));
  }

  /** What the task's handler returned, once it is over; see `TaskHandle.result`. */
  async result(id: string, options: models.WaitOptions = {}): Promise<unknown> {
    const task = await this.wait(id, options);
    const Unsuccessful = UNSUCCESSFUL[task.state];
    if (Unsuccessful) throw new Unsuccessful(task);
    return task.result;
  }

  /** The task once it is over, however it ended; throws `DeadlineExceeded` when `timeout` is up first. */
  async wait(id: string, { timeout, signal }: models.WaitOptions = {}): Promise<models.Task> {
    const asked = taskId(id);
    if (timeout === undefined) return messages.task(await this.#watcher.ended(asked, signal));
    const over = new AbortController();
    const both = signal ? AbortSignal.any([signal, over.signal]) : over.signal;
    const late = new DeadlineExceeded(`task ${asked} was not over within ${timeout} ms; it goes on`);
    const timer = systemClock.sleep(timeout, over.signal).then(
      () => {
        over.abort(late);
      },
      () => undefined,
    );
    try {
      return messages.task(await this.#watcher.ended(asked, both));
    } finally {
      over.abort();
      await timer;
    }
  }

  /** All tasks of the namespace that fit, newest first, fetched a page at a time. */
  async *list(options: models.ListOptions = {}): AsyncGenerator<models.Task, void, undefined> {
    const { signal, pageSize = TASKS_PER_PAGE, ...filter } = options;
    const request = create(ListTasksRequestSchema, {
      filter: taskFilter(filter, this.namespace),
      pageSize: atLeastOne("page_size", pageSize),
    });
    do {
      const { tasks, nextPageToken } = await this.#page(request, signal);
      yield* tasks.map(messages.task);
      request.pageToken = nextPageToken;
    } while (request.pageToken !== "");
  }

  async #page(request: ListTasksRequest, signal: AbortSignal | undefined): Promise<ListTasksResponse> {
    for (;;) {
      try {
        return await this.#calls.ask((at, options) => at.tasks.listTasks(request, options), signal);
      } catch (error) {
        // Pages are counted in tasks, messages limited in bytes: a few tasks fit always.
        if (!(error instanceof ServerError) || error.reason !== TOO_LARGE || request.pageSize === 1) throw error;
        request.pageSize = Math.floor(request.pageSize / 2);
      }
    }
  }

  /**
   * Cancel a task that has not started, ask one that runs to stop; throws `FailedPrecondition` for one that has ended in
   * another way. Answers with the task as it then is: the handler of a running one may still finish.
   */
  async cancel(id: string, { signal }: models.CallOptions = {}): Promise<models.Task> {
    const request = { id: taskId(id) };
    return messages.task(await this.#calls.call((at, options) => at.tasks.cancelTask(request, options), { signal }));
  }

  /** Queue a FAILED task again with fresh budgets; throws `FailedPrecondition` in any other state. */
  async redrive(id: string, { signal }: models.CallOptions = {}): Promise<models.Task> {
    const request = { id: taskId(id) };
    const rules = { signal, repeatable: false };
    return messages.task(await this.#calls.call((at, options) => at.tasks.redriveTask(request, options), rules));
  }

  /** Queue FAILED tasks that fit again, at most `limit`; a dry run only counts. */
  redriveMany(options: models.BulkOptions = {}): Promise<models.Affected> {
    const request = this.#bulk(options);
    return this.#affect(options, (at, told) => at.tasks.redriveTasks(request, told));
  }

  /** Delete FAILED tasks that fit, at most `limit`; a dry run only counts. */
  purgeMany(options: models.BulkOptions = {}): Promise<models.Affected> {
    const request = this.#bulk(options);
    return this.#affect(options, (at, told) => at.tasks.purgeTasks(request, told));
  }

  #bulk({ limit = 1000, dryRun = false, ...filter }: models.BulkOptions): object {
    return { filter: taskFilter(filter, this.namespace), limit: atLeastOne("limit", limit), dryRun };
  }

  async #affect(options: models.BulkOptions, send: Send<models.Affected>): Promise<models.Affected> {
    const { signal, dryRun = false } = options;
    const { count, ids } = await this.#calls.call(send, { signal, repeatable: dryRun });
    return { count, ids };
  }

  /** All of the task's runs, oldest first. */
  async attempts(id: string, { signal }: models.CallOptions = {}): Promise<readonly models.Attempt[]> {
    const taskIdAsked = taskId(id);
    const found = await all(async (pageToken) => {
      const request = { taskId: taskIdAsked, pageSize: ATTEMPTS_PER_PAGE, pageToken };
      const page = await this.#calls.ask((at, options) => at.tasks.listAttempts(request, options), signal);
      return { items: page.attempts, nextPageToken: page.nextPageToken };
    });
    return found.map(messages.attempt);
  }

  /** The namespace's queues. */
  async queues({ signal }: models.CallOptions = {}): Promise<readonly models.Queue[]> {
    const found = await all(async (pageToken) => {
      const request = { namespace: this.namespace, pageToken };
      const page = await this.#calls.ask((at, options) => at.queues.listQueues(request, options), signal);
      return { items: page.queues, nextPageToken: page.nextPageToken };
    });
    return found.map(messages.queue);
  }

  /** The namespace's connected workers, by name. */
  async workers({ signal }: models.CallOptions = {}): Promise<readonly models.WorkerInfo[]> {
    const found = await all(async (pageToken) => {
      const request = { namespace: this.namespace, pageToken };
      const page = await this.#calls.ask((at, options) => at.cluster.listWorkers(request, options), signal);
      return { items: page.workers, nextPageToken: page.nextPageToken };
    });
    return found.map(messages.worker);
  }

  /** The cluster's version, leader and dispatchers. */
  async cluster({ signal }: models.CallOptions = {}): Promise<models.Cluster> {
    return messages.clusterOf(await this.#calls.ask((at, options) => at.cluster.getCluster({}, options), signal));
  }
}

interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextPageToken: string;
}

/** The items of all pages. */
async function all<Item>(ask: (pageToken: string) => Promise<Page<Item>>): Promise<Item[]> {
  const found: Item[] = [];
  let token = "";
  do {
    const { items, nextPageToken } = await ask(token);
    found.push(...items);
    token = nextPageToken;
  } while (token !== "");
  return found;
}
