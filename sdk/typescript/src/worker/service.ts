/** One run of a worker: wires session and attempts together, and shuts them down in order. */

import { createHash, randomBytes, randomUUID } from "node:crypto";

import { HelloRefused, TaskyardError } from "../errors.js";
import { Verdict } from "../gen/worker_service_pb.js";
import { openSession, type Link } from "../session/link.js";
import type { Identity, ToWorker } from "../session/messages.js";
import { refOf, type Key } from "../session/wire.js";
import type { WorkerSettings } from "../settings.js";
import type { Runner } from "./attempt.js";
import { Attempts } from "./attempts.js";
import type { Registration } from "./handler.js";
import { IsolateRunner } from "./isolate-runner.js";
import type { Logger } from "./log.js";
import { LoopRunner } from "./loop-runner.js";
import { Outbox } from "./outbox.js";

/** What handlers that were told to stop get to end once the grace is over. */
const STOP_TIME = 1000;
/** What the last results get to be acknowledged. */
const FLUSH_TIME = 3000;

/** Files of the threads, which lie beside the bundle that this is in. */
const SESSION_THREAD = new URL("./session-thread.js", import.meta.url);
const ISOLATE_THREAD = new URL("./isolate-thread.js", import.meta.url);

declare const __VERSION__: string;

export class Service {
  readonly #settings: WorkerSettings;
  readonly #registrations: ReadonlyMap<string, Registration>;
  readonly #log: Logger;
  readonly #identity: Identity;
  readonly #link: Link;
  readonly #outbox: Outbox;
  readonly #draining = new AbortController();
  readonly #isolates: IsolateRunner;
  readonly attempts: Attempts;
  connected = false;
  #announced = false;
  #ending: Promise<void> | undefined;
  readonly #ready = deferred();
  readonly #finished = deferred();
  readonly #drained = deferred();
  readonly #left = deferred();

  constructor(
    settings: WorkerSettings,
    registrations: ReadonlyMap<string, Registration>,
    log: Logger,
    sessionThread: URL | false | undefined,
  ) {
    this.#settings = settings;
    this.#registrations = registrations;
    this.#log = log;
    this.#identity = identityOf(settings, [...registrations.keys()]);
    this.#outbox = new Outbox((message, transfer) => {
      this.#link.post(message, transfer);
    });
    const progress = (key: Key, fraction: number, message: string): void => {
      this.#link.post({ do: "progress", key, fraction, message });
    };
    this.attempts = new Attempts({
      registrations,
      outbox: this.#outbox,
      log,
      draining: this.#draining.signal,
      progress,
      runnerOf: (registration) => this.#runnerOf(registration),
    });
    this.#loop = new LoopRunner(this.attempts);
    this.#isolates = new IsolateRunner(ISOLATE_THREAD, settings.threads, this.attempts, progress);
    const config = { identity: this.#identity, dispatchers: settings.dispatchers };
    this.#link = openSession(
      config,
      sessionThread ?? SESSION_THREAD,
      (message) => {
        this.#receive(message);
      },
      (error) => {
        this.#fail(new TaskyardError(`the session's thread died: ${error.message}`, "", { cause: error }));
      },
    );
  }

  readonly #loop: LoopRunner;

  get sessionId(): string {
    return this.#identity.sessionId;
  }

  /** Settles with the first welcome, or with the worker's end if that comes first. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Settles when the worker has ended; rejects with HelloRefused if no session could be opened. */
  get finished(): Promise<void> {
    return this.#finished.promise;
  }

  /** Shut down in order. */
  stop(): Promise<void> {
    this.#ending ??= this.#shutDown().then(() => {
      this.#finished.resolve();
      this.#ready.resolve();
    }, this.#finished.reject);
    return this.#ending;
  }

  #runnerOf({ run }: Registration): Runner {
    return run instanceof URL ? this.#isolates : this.#loop;
  }

  // What the session tells

  #receive(message: ToWorker): void {
    switch (message.tell) {
      case "starts": {
        const { buffer, byteOffset, length } = message.bytes;
        this.attempts.start(Buffer.from(buffer, byteOffset, length), message.starts, message.ends);
        break;
      }
      case "stops":
        this.attempts.stop(message.stops);
        break;
      case "connected":
        this.#welcomed(message);
        break;
      case "disconnected":
        this.#disconnected(message);
        break;
      case "refused":
        for (const { key, verdict } of message.results) this.#logRefusal(key, verdict);
        break;
      case "rejected":
        this.#fail(new HelloRefused(message.why));
        break;
      case "drained":
        this.#drained.resolve();
        break;
      case "left":
        if (message.unacknowledged > 0)
          this.#log.warn("ending with results unacknowledged", { results: message.unacknowledged });
        this.#left.resolve();
    }
  }

  #welcomed({ address, dispatcher, generation }: ToWorker & { tell: "connected" }): void {
    this.connected = true;
    this.#ready.resolve();
    if (this.#announced) this.#log.info("connected to a dispatcher", { address, dispatcher, generation });
    else this.#announce(address, dispatcher);
    this.#announced = true;
  }

  /** The one line that says what this worker is there for. The session goes by the name that readers of the API see. */
  #announce(address: string, dispatcher: string): void {
    const { name, slots, labels, queues, namespace } = this.#settings;
    const types = [...this.#registrations.keys()];
    this.#log.info(`worker ${name} serves ${types.join(", ")} at ${address}`, {
      worker: name,
      session: createHash("sha256").update(this.sessionId).digest("hex").slice(0, 12),
      types,
      namespace,
      ...(queues.length > 0 && { queues }),
      slots,
      ...(Object.keys(labels).length > 0 && { labels }),
      address,
      dispatcher,
    });
  }

  #disconnected({ address, why, warn }: ToWorker & { tell: "disconnected" }): void {
    this.connected = false;
    const fields = { address, why, running: this.attempts.size };
    this.#log[warn ? "warn" : "debug"]("no session with the dispatcher; attempts run on", fields);
  }

  #logRefusal(key: Key, verdict: Verdict): void {
    const { taskId, attempt } = refOf(key);
    const fields = { task_id: taskId, attempt };
    if (verdict === Verdict.STALE) this.#log.warn("a result came too late and was dropped", fields);
    else if (verdict === Verdict.INVALID) this.#log.error("a result was refused as invalid", fields);
  }

  /** The session is no more: end without it. */
  #fail(error: Error): void {
    if (this.#ending !== undefined) return;
    this.connected = false;
    this.#ending = this.#closeAll();
    this.#ending.then(() => {
      this.#finished.reject(error);
      this.#ready.reject(error);
    }, this.#finished.reject);
  }

  // The end

  async #shutDown(): Promise<void> {
    this.#log.info("the worker stops", { running: this.attempts.size });
    this.#draining.abort();
    this.#isolates.drain();
    this.#link.post({ do: "drain" });
    // Assignments that crossed it come before the answer.
    await this.#drained.promise;
    if (!(await this.attempts.idle(this.#settings.grace))) {
      this.attempts.shutDown();
      await this.attempts.idle(STOP_TIME);
    }
    // Threads end before their attempts are handed back: the next attempt must not overlap with this one.
    await this.#isolates.close();
    const released = this.attempts.release();
    if (released > 0) this.#log.warn("handed back attempts that did not finish in time", { attempts: released });
    this.#link.post({ do: "leave", flushTime: FLUSH_TIME });
    await this.#left.promise;
    await this.#closeAll();
    this.#log.info("the worker has stopped");
  }

  async #closeAll(): Promise<void> {
    this.connected = false;
    await this.#isolates.close();
    await this.#link.close();
  }
}

function identityOf(settings: WorkerSettings, types: readonly string[]): Identity {
  return {
    sessionId: randomUUID(),
    secret: randomBytes(32),
    namespace: settings.namespace,
    worker: settings.name,
    types,
    queues: settings.queues,
    labels: settings.labels,
    slots: settings.slots,
    pod: settings.pod,
    node: settings.node,
    sdk: `typescript/${__VERSION__}`,
    pid: BigInt(process.pid),
    version: settings.version,
  };
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

function deferred(): Deferred {
  let resolve: () => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((whenResolved, whenRejected) => {
    resolve = whenResolved;
    reject = whenRejected;
  });
  // Whoever waits hears of it; where nobody does it is no unhandled rejection.
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}
