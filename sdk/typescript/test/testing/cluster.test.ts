import { describe, expect, expectTypeOf, it } from "vitest";

import {
  DeadlineExceeded,
  IdempotencyConflict,
  NonRetryable,
  type StandardSchema,
  task,
  TaskCancelled,
  TaskFailed,
  Worker,
} from "../../src/index.js";
import { TestCluster } from "../../src/testing/index.js";

const greet = task<{ town: string }, string>("town.greet");
const now = new Date("2026-01-01T00:00:00Z");

class NoTown extends NonRetryable {}

describe("a test cluster", () => {
  it("runs what a client submits", async () => {
    const worker = new Worker().task(greet, (context, { town }) => `Hello ${town}, attempt ${context.attempt}`);
    await using cluster = new TestCluster(worker);
    const handle = await greet.submit(cluster.client, { town: "Lyon" });
    const result = await handle.result();
    expectTypeOf(result).toEqualTypeOf<string>();
    expect(result).toBe("Hello Lyon, attempt 1");
  });

  it("lets backoffs pass at once, and counts their time", async () => {
    const at: number[] = [];
    const worker = new Worker().task(greet, (context) => {
      at.push(cluster.now.getTime() - now.getTime());
      if (context.attempt < 4) throw new Error("not yet");
      return "at last";
    });
    await using cluster = new TestCluster(worker, { now });
    const retry = { maxAttempts: 5, initialBackoff: 10_000, multiplier: 3, maxBackoff: 60_000 };
    const handle = await greet.submit(cluster.client, { town: "Lyon" }, { retry });
    expect(await handle.result()).toBe("at last");
    expect(at).toEqual([0, 10_000, 40_000, 100_000]);
    const runs = await cluster.client.attempts(handle.id);
    expect(runs.map(({ outcome }) => outcome)).toEqual(["FAILED", "FAILED", "FAILED", "SUCCEEDED"]);
  });

  it("keeps dead letters, and redrives them", async () => {
    let fixed = false;
    const worker = new Worker().task(greet, () => {
      if (fixed) return "fine";
      throw new NoTown("no town");
    });
    await using cluster = new TestCluster(worker);
    const handle = await greet.submit(cluster.client, { town: "" });
    const failed: unknown = await handle.result().catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(TaskFailed);
    expect(failed).toMatchObject({ type: "NoTown", task: { state: "FAILED", attempt: 1, failures: 1 } });
    const dead = [];
    for await (const { id } of cluster.client.list({ state: "FAILED", errorType: "NoTown" })) dead.push(id);
    expect(dead).toEqual([handle.id]);
    fixed = true;
    expect(await cluster.client.redriveMany({ errorType: "NoTown" })).toEqual({ count: 1, ids: [handle.id] });
    expect(await handle.result()).toBe("fine");
    expect((await handle.get()).attempt).toBe(2);
  });

  it("has a handler time out when its time has passed", async () => {
    const stops: string[] = [];
    const worker = new Worker().task(greet, async ({ signal }) => {
      await new Promise((resolve) => {
        signal.addEventListener("abort", resolve);
      });
      stops.push(String(signal.reason));
      return "too late";
    });
    await using cluster = new TestCluster(worker);
    const handle = await greet.submit(cluster.client, { town: "" }, { timeout: 5_000, retry: { maxAttempts: 1 } });
    await cluster.advance(4_999);
    expect(await handle.state()).toBe("RUNNING");
    await cluster.advance(1);
    await expect(handle.result()).rejects.toMatchObject({ type: "TIMEOUT" });
    expect(stops).toEqual(["AbortError: the attempt ran out of time"]);
  });

  it("runs a delayed task when its time has come", async () => {
    const worker = new Worker().task(greet, () => "hello");
    await using cluster = new TestCluster(worker, { now });
    const handle = await greet.submit(cluster.client, { town: "" }, { runAt: new Date("2026-01-02T00:00:00Z") });
    await cluster.advance(23 * 3_600_000);
    expect(await handle.state()).toBe("SCHEDULED");
    await cluster.advance(3_600_000);
    expect(await handle.state()).toBe("SUCCEEDED");
    expect(cluster.now).toEqual(new Date("2026-01-02T00:00:00Z"));
  });

  it("cancels what runs and what waits", async () => {
    const running = task<null, null>("run");
    const worker = new Worker().task(running, async ({ signal }) => {
      await new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          reject(signal.reason as Error);
        });
      });
      return null;
    });
    await using cluster = new TestCluster(worker);
    const runs = await running.submit(cluster.client, null);
    const waits = await greet.submit(cluster.client, { town: "" });
    await cluster.advance(0);
    await Promise.all([runs.cancel(), waits.cancel()]);
    await expect(runs.result()).rejects.toThrow(TaskCancelled);
    await expect(waits.result()).rejects.toThrow(TaskCancelled);
  });

  it("knows keys", async () => {
    const worker = new Worker().task(greet, () => "hello");
    await using cluster = new TestCluster(worker);
    const first = await greet.submit(cluster.client, { town: "Lyon" }, { idempotencyKey: "k" });
    const second = await greet.submit(cluster.client, { town: "Lyon" }, { idempotencyKey: "k" });
    expect(second).toMatchObject({ id: first.id, deduplicated: true });
    await expect(greet.submit(cluster.client, { town: "Oslo" }, { idempotencyKey: "k" })).rejects.toThrow(
      IdempotencyConflict,
    );
  });

  it("checks schemas on both sides", async () => {
    const text: StandardSchema<string> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) => (typeof value === "string" ? { value } : { issues: [{ message: "must be text" }] }),
      },
    };
    const shout = task("town.shout", { input: text, output: text });
    const worker = new Worker().task(shout, () => 1 as unknown as string);
    await using cluster = new TestCluster(worker);
    await expect((await shout.submit(cluster.client, "a")).result()).rejects.toMatchObject({ type: "INVALID_RESULT" });
    await expect((await cluster.client.submit("town.shout", 1)).result()).rejects.toMatchObject({
      type: "INVALID_PAYLOAD",
    });
  });

  it("runs a handler that submits and waits", async () => {
    const outer = task<null, string>("outer");
    const worker: Worker = new Worker()
      .task(greet, ({ attempt }) => {
        if (attempt === 1) throw new Error("once");
        return "inner";
      })
      .task(outer, async () => (await greet.submit(cluster.client, { town: "" })).result());
    await using cluster = new TestCluster(worker);
    expect(await (await outer.submit(cluster.client, null)).result()).toBe("inner");
  });

  it("lets a task wait that nobody has a handler for", async () => {
    await using cluster = new TestCluster(new Worker());
    const handle = await greet.submit(
      cluster.client,
      { town: "" },
      { expiresAt: new Date(cluster.now.getTime() + 60_000) },
    );
    await expect(handle.result({ timeout: 20 })).rejects.toThrow(DeadlineExceeded);
    expect(await handle.state()).toBe("QUEUED");
    await cluster.advance(60_000);
    expect(await handle.state()).toBe("EXPIRED");
  });
});
