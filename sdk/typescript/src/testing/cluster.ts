/** A cluster in this process, for tests: no server, no connection, and time that passes when it is told to. */

import { createClient, createRouterTransport, type ConnectRouter } from "@connectrpc/connect";

import { Client } from "../client/client.js";
import type { SchedulerSource } from "../client/schedulers.js";
import { duration } from "../client/times.js";
import { ClusterService } from "../gen/cluster_service_pb.js";
import { QueueService } from "../gen/queue_service_pb.js";
import { TaskService } from "../gen/task_service_pb.js";
import type { Worker } from "../worker/worker.js";
import { Engine } from "./engine.js";
import { taskService } from "./service.js";

export interface TestClusterOptions {
  /** What time it is at first; default now. */
  readonly now?: Date;
  readonly namespace?: string;
}

/**
 * Runs a worker's handlers on tasks that a client submits, in this process:
 *
 *     await using cluster = new TestCluster(worker);
 *     const handle = await greet.submit(cluster.client, { town: "Lyon" });
 *     expect(await handle.result()).toBe("Hello Lyon");
 *
 * Submits, schemas, retries, timeouts, cancels, keys and dead letters work as in a cluster. Waiting for a task lets the
 * time pass that it waits for, so backoffs and delays take none; `advance` lets more of it pass. Backoffs have no jitter,
 * selectors are not looked at, isolated handlers run in this thread, and a task that the worker has no handler for waits.
 */
export class TestCluster implements AsyncDisposable {
  /** A client of this cluster; give it to the code that is tested. */
  readonly client: Client;
  readonly #engine: Engine;

  constructor(worker: Worker, { now = new Date(), namespace = "default" }: TestClusterOptions = {}) {
    this.#engine = new Engine(worker.registrations, now.getTime());
    const routes = (router: ConnectRouter): void => {
      router.service(TaskService, taskService(this.#engine));
    };
    this.client = new Client({ namespace }, {}, inMemory(routes));
  }

  /** What time it is for tasks. */
  get now(): Date {
    return new Date(this.#engine.time.now);
  }

  /**
   * Let so many milliseconds pass: what comes due runs, attempts that take longer than their `timeout` time out. It does
   * not wait for handlers that wait for something real; `result` and `wait` do.
   */
  async advance(milliseconds: number): Promise<void> {
    duration("milliseconds", milliseconds);
    await this.#engine.advance(this.#engine.time.now + milliseconds);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.close();
  }
}

function inMemory(routes: (router: ConnectRouter) => void): SchedulerSource {
  const transport = createRouterTransport(routes);
  const scheduler = {
    address: "memory",
    tasks: createClient(TaskService, transport),
    queues: createClient(QueueService, transport),
    cluster: createClient(ClusterService, transport),
  };
  return {
    anyAwake: true,
    next: () => Promise.resolve(scheduler),
    avoid: () => undefined,
    trust: () => undefined,
    close: () => undefined,
  };
}
