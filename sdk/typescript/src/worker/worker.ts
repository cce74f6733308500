/** A worker: handlers for tasks, served over one session. */

import { checkName, task as define, type TaskDefinition } from "../definition.js";
import { InvalidArgument, TaskyardError } from "../errors.js";
import { workerSettings, type WorkerOptions as Settings } from "../settings.js";
import type { Handler, HandlerOptions, Registration } from "./handler.js";
import { guarded, standardLogger, type Logger } from "./log.js";
import { Service } from "./service.js";
import { untilSignalled } from "./signals.js";

const MAX_TYPES = 1000;

export interface WorkerOptions extends Settings {
  /** Where its log goes; else lines on stderr: text at a terminal, JSON elsewhere. */
  readonly logger?: Logger;
  /**
   * The file of the session's thread, if a bundler has moved it. `false` runs the session in the thread of the handlers:
   * one that keeps it busy for 10 seconds loses the session, and its tasks run again elsewhere.
   */
  readonly sessionThread?: URL | false;
}

/**
 * Runs handlers for tasks.
 *
 *     const worker = new Worker({ labels: { io: "ssd" } });
 *     worker.task(greet, async (context, { town }) => `Hello ${town}`);
 *     await worker.run();
 */
export class Worker implements AsyncDisposable {
  readonly #options: WorkerOptions;
  readonly #log: Logger;
  readonly #registrations = new Map<string, Registration>();
  #service: Service | undefined;

  constructor(options: WorkerOptions = {}) {
    this.#options = options;
    this.#log = guarded(options.logger ?? standardLogger());
  }

  /** @internal */
  get registrations(): ReadonlyMap<string, Registration> {
    return this.#registrations;
  }

  /** The task types it has handlers for. */
  get types(): string[] {
    return [...this.#registrations.keys()];
  }

  /** Whether a dispatcher holds its session right now. */
  get connected(): boolean {
    return this.#service?.connected ?? false;
  }

  /** The id of its session while it serves; each start has a new one. */
  get sessionId(): string | undefined {
    return this.#service?.sessionId;
  }

  /**
   * Register the handler of a task. What it returns is the task's result, anything JSON can hold up to 1 MiB; what it
   * throws is retried as the task's policy says, except `NonRetryable` and what `options` list.
   */
  task<Definition extends TaskDefinition>(
    definition: Definition | string,
    handler: Handler<Definition>,
    options: HandlerOptions = {},
  ): this {
    return this.#register(definition, handler as Registration["run"], options);
  }

  /**
   * Register the handler that the module at `url` exports as its default. It runs in a thread of its own, may use the
   * processor for as long as it likes, and is ended when its time is over: `worker.isolated(resize, new
   * URL("./resize.js", import.meta.url))`. See `isolated` for what the module exports.
   */
  isolated(definition: TaskDefinition | string, url: URL): this {
    return this.#register(definition, url, {});
  }

  #register(given: TaskDefinition | string, run: Registration["run"], { nonRetryable = [] }: HandlerOptions): this {
    const definition = typeof given === "string" ? define(given) : given;
    checkName(definition.name);
    if (this.#service !== undefined) throw new TaskyardError("the worker serves already: register handlers before");
    if (this.#registrations.has(definition.name)) {
      throw InvalidArgument.of("type", `${JSON.stringify(definition.name)} has a handler already`);
    }
    this.#registrations.set(definition.name, { definition, run, nonRetryable });
    return this;
  }

  /**
   * Begin to serve; resolves once a dispatcher has welcomed it. Rejects with HelloRefused if dispatchers refuse this
   * worker for good, with InvalidArgument for wrong settings. Signals are the caller's.
   */
  async start(): Promise<this> {
    await this.#open().ready;
    return this;
  }

  /** Serve until `stop`; rejects as `start` does. Signals are the caller's. */
  async serve(): Promise<void> {
    await this.#open().finished;
  }

  /** Shut down in order: no more tasks, running ones finish within the grace, the rest is handed back. */
  async stop(): Promise<void> {
    await this.#service?.stop();
    this.#service = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /**
   * Serve until SIGTERM, SIGINT or SIGHUP, then shut down in order; a second signal ends the process at once. Resolves
   * when it has ended, also by `stop`; rejects as `start` does.
   *
   * Meanwhile handlers do not end the program: what their left-behind code throws is logged, and `process.exit` throws.
   */
  async run(): Promise<void> {
    const service = this.#open();
    try {
      await untilSignalled(service, this.#log);
    } finally {
      this.#service = undefined;
    }
  }

  #open(): Service {
    if (this.#service !== undefined) throw new TaskyardError("this worker is serving already");
    const count = this.#registrations.size;
    if (count < 1 || count > MAX_TYPES) {
      throw InvalidArgument.of("types", `a worker has 1 to ${MAX_TYPES} handlers, got ${count}`);
    }
    const { sessionThread } = this.#options;
    if (sessionThread === false)
      this.#log.warn("the session shares its thread with the handlers: none may keep it busy");
    this.#service = new Service(workerSettings(this.#options), this.#registrations, this.#log, sessionThread);
    return this.#service;
  }
}
