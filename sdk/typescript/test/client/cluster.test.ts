import { afterAll, beforeAll, describe, expect, it } from "vitest";

import {
  Client,
  DeadlineExceeded,
  FailedPrecondition,
  InvalidArgument,
  TaskHandle,
  task,
  TaskFailed,
} from "../../src/index.js";
import { DevCluster } from "./dev.js";

const command = process.env.TASKYARD_SERVER;
const echo = task("demo.echo");

describe.skipIf(command === undefined)("a cluster", { timeout: 60_000 }, () => {
  let cluster: DevCluster;
  let client: Client;

  beforeAll(async () => {
    cluster = await DevCluster.start(command ?? "");
    client = new Client(cluster.addresses("scheduler", "grpc"));
  }, 120_000);

  afterAll(async () => {
    await client.close();
    await cluster[Symbol.asyncDispose]();
  }, 60_000);

  it("brings results back as they were given", async () => {
    const given = { text: "Zoë 🦀 \u0000", big: 12345678901234567890n, deep: [[null, true, 1.5, -0.25]] };
    const handle = await echo.submit(client, given, { idempotencyKey: "echo" });
    expect(await handle.result()).toEqual(given);
    expect(await echo.submit(client, given, { idempotencyKey: "echo" })).toMatchObject({
      id: handle.id,
      deduplicated: true,
    });
  });

  it("refuses one task of a batch alone", async () => {
    const outcomes = await client.submitMany([echo.request(1), echo.request(2, { priority: 11 }), echo.request(3)]);
    expect(outcomes[1]).toBeInstanceOf(InvalidArgument);
    expect(outcomes[1]).toMatchObject({ violations: [{ field: "priority" }] });
    const results = outcomes.filter((outcome) => outcome instanceof TaskHandle).map((handle) => handle.result());
    expect(await Promise.all(results)).toEqual([1, 3]);
  });

  it("has dead letters, which can be redriven and purged", async () => {
    const options = { queue: "letters", retry: { maxAttempts: 1 } };
    const handle = await client.submit("demo.fail", { message: "no" }, options);
    const failed: unknown = await handle.result().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(TaskFailed);
    expect(failed).toMatchObject({ type: "RuntimeError", cause: { message: "no" } });
    const listed = [];
    for await (const { id } of client.list({ queue: "letters", state: "FAILED" })) listed.push(id);
    expect(listed).toEqual([handle.id]);
    expect((await handle.get()).state).toBe("FAILED");
    await client.redrive(handle.id);
    await expect(handle.result()).rejects.toThrow(TaskFailed);
    expect((await client.attempts(handle.id)).map(({ outcome }) => outcome)).toEqual(["FAILED", "FAILED"]);
    expect(await client.purgeMany({ queue: "letters" })).toEqual({ count: 1, ids: [handle.id] });
  });

  it("cancels, and says what is over", async () => {
    const delayed = await echo.submit(client, 1, { delay: 3_600_000 });
    expect(await delayed.cancel()).toMatchObject({ state: "CANCELLED" });
    const done = await echo.submit(client, 1);
    await done.result();
    await expect(done.cancel()).rejects.toThrow(FailedPrecondition);
    const sleeping = await client.submit("demo.sleep", { seconds: 30 });
    await expect(sleeping.result({ timeout: 50 })).rejects.toThrow(DeadlineExceeded);
    await sleeping.cancel();
    expect(await sleeping.wait()).toMatchObject({ state: "CANCELLED" });
  });

  it("tells of its queues, workers and members", async () => {
    // Queues are counted once a second or so.
    await expect
      .poll(async () => (await client.queues()).map(({ name }) => name), { timeout: 10_000 })
      .toContain("default");
    expect(await client.workers()).toMatchObject([{ name: "worker-1", draining: false }]);
    expect(await client.cluster()).toMatchObject({ leader: { pid: cluster.processes("dispatcher")[0]?.pid } });
  });

  it("loses nothing when a scheduler is killed, and runs nothing twice", async () => {
    await using keyed = new Client(cluster.addresses("scheduler", "grpc"), { generateKeys: true });
    const submits = Array.from({ length: 3000 }, async (_, n) => {
      // In some fifty calls, so that the kill meets some of them.
      await new Promise((resolve) => setTimeout(resolve, n / 10));
      return echo.submit(keyed, n, { queue: "kill" });
    });
    await Promise.race(submits);
    process.kill(cluster.processes("scheduler")[0]?.pid ?? 0, "SIGKILL");
    const handles = await Promise.all(submits);
    expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(submits.map((_, n) => n));
    let stored = 0;
    for await (const { attempt } of keyed.list({ queue: "kill", pageSize: 1000 })) {
      stored += 1;
      expect(attempt).toBe(1);
    }
    expect(stored).toBe(3000);
  });
});
