/** A scheduler in this process: it keeps tasks in memory, and fails as it is told. */

import { EventEmitter, once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";

import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";

import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../src/gen/error_details_pb.js";
import { type Task, TaskSchema, type TaskSpec, TaskState } from "../../src/gen/task_pb.js";
import { type SubmitTasksRequest, TaskService, type WatchTasksRequest } from "../../src/gen/task_service_pb.js";

type Verbs = Partial<ServiceImpl<typeof TaskService>>;

export class Scheduler implements AsyncDisposable {
  /** What each submit carried, in the order of the calls. */
  readonly submits: TaskSpec[][] = [];
  /** The ids of each watch. */
  readonly watches: string[][] = [];
  /** Watches that go on now. */
  watching = 0;
  readonly tasks = new Map<string, Task>();
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #changes = new EventEmitter().setMaxListeners(0);

  private constructor(verbs: Verbs) {
    const routes = (router: ConnectRouter): void => {
      router.service(TaskService, {
        submitTasks: (request) => this.#submit(request),
        watchTasks: (request, context) => this.#watch(request, context),
        ...verbs,
      });
    };
    this.#server = createServer(connectNodeAdapter({ routes }));
    this.#server.on("session", (session) => {
      this.#sessions.add(session);
      session.on("close", () => this.#sessions.delete(session));
    });
  }

  static async start(verbs: Verbs = {}, port = 0): Promise<Scheduler> {
    const scheduler = new Scheduler(verbs);
    await new Promise<void>((resolve) => scheduler.#server.listen(port, "127.0.0.1", resolve));
    return scheduler;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Connections that clients hold now. */
  get connections(): number {
    return this.#sessions.size;
  }

  /** The task has ended: whoever watches it is told. */
  end(id: string, ending: Partial<Task>): void {
    Object.assign(this.#task(id), { state: TaskState.SUCCEEDED, ...ending });
    this.#changes.emit("change");
  }

  /** Break all connections off. */
  cut(): void {
    for (const session of this.#sessions) session.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  #task(id: string): Task {
    const task = this.tasks.get(id);
    if (!task) throw new Error(`no task ${id}`);
    return task;
  }

  #submit(request: SubmitTasksRequest): object {
    this.submits.push(request.tasks);
    return { results: request.tasks.map((spec) => this.#accept(spec)) };
  }

  #accept({ type, payload, idempotencyKey }: TaskSpec): object {
    const known = [...this.tasks.values()].find((task) => idempotencyKey && task.idempotencyKey === idempotencyKey);
    const id = `00000000-0000-7000-8000-${String(this.tasks.size).padStart(12, "0")}`;
    const task = known ?? create(TaskSchema, { id, type, payload, idempotencyKey, state: TaskState.QUEUED });
    this.tasks.set(task.id, task);
    return { outcome: { case: "task", value: { id: task.id, state: task.state } }, deduplicated: known !== undefined };
  }

  async *#watch({ ids }: WatchTasksRequest, { signal }: HandlerContext): AsyncGenerator<object> {
    this.watches.push(ids);
    this.watching += 1;
    const gone = once(signal, "abort").then(() => (this.watching -= 1));
    yield { tasks: [], unknownIds: ids.filter((id) => !this.tasks.has(id)) };
    const told = new Set<string>();
    while (!signal.aborted && told.size < ids.length) {
      const changed = once(this.#changes, "change");
      const tasks = ids.flatMap((id) => this.#ended(id)).filter(({ id }) => !told.has(id));
      for (const { id } of tasks) told.add(id);
      if (tasks.length > 0) yield { tasks };
      else await Promise.race([changed, gone]);
    }
  }

  #ended(id: string): Task[] {
    const task = this.tasks.get(id);
    return task && task.state >= TaskState.SUCCEEDED ? [task] : [];
  }
}

export interface Refused {
  readonly reason?: string;
  readonly metadata?: Record<string, string>;
  readonly field?: string;
  readonly retryAfter?: number;
}

/** A refusal in a scheduler's words. */
export function refusal(
  code: Code,
  message: string,
  { reason = "", metadata = {}, field, retryAfter }: Refused,
): ConnectError {
  return new ConnectError(message, code, undefined, [
    { desc: ErrorInfoSchema, value: { reason, domain: "taskyard", metadata } },
    ...(field === undefined
      ? []
      : [{ desc: BadRequestSchema, value: { fieldViolations: [{ field, description: message }] } }]),
    ...(retryAfter === undefined
      ? []
      : [{ desc: RetryInfoSchema, value: { retryDelay: { seconds: BigInt(retryAfter), nanos: 0 } } }]),
  ]);
}
