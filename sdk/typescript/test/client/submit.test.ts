import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from "vitest";

import {
  Client,
  IdempotencyConflict,
  InvalidArgument,
  NotJson,
  SchemaMismatch,
  type StandardSchema,
  task,
  type TaskHandle,
  type TaskyardError,
  Unavailable,
} from "../../src/index.js";
import { refusal, Scheduler } from "./scheduler.js";

const greet = task<{ town: string }, string>("town.greet");
const text: StandardSchema<string> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => (typeof value === "string" ? { value } : { issues: [{ message: "must be text" }] }),
  },
};

let scheduler: Scheduler;
let client: Client;

beforeEach(async () => {
  scheduler = await Scheduler.start();
  client = new Client(scheduler.address);
});

afterEach(async () => {
  await client.close();
  await scheduler[Symbol.asyncDispose]();
});

describe("a submit", () => {
  it("carries what it was given", async () => {
    const handle = await greet.submit(
      client,
      { town: "Lyon" },
      {
        queue: "mail",
        priority: 7,
        selector: "io=ssd",
        idempotencyKey: "greet-lyon",
        delay: 500,
        expiresAt: new Date("2026-01-02T03:04:05.678Z"),
        timeout: 1.5,
        retry: { maxAttempts: 5, initialBackoff: 250, multiplier: 3, jitter: 0 },
      },
    );
    expectTypeOf(handle).toEqualTypeOf<TaskHandle<string>>();
    expect(handle.deduplicated).toBe(false);
    expect(scheduler.submits[0]?.[0]).toMatchObject({
      namespace: "default",
      queue: "mail",
      type: "town.greet",
      payload: new TextEncoder().encode('{"town":"Lyon"}'),
      priority: 7,
      selector: "io=ssd",
      idempotencyKey: "greet-lyon",
      delay: { seconds: 0n, nanos: 500_000_000 },
      expiresAt: { seconds: 1767323045n, nanos: 678_000_000 },
      timeout: { seconds: 0n, nanos: 1_500_000 },
      retry: { maxAttempts: 5, initialBackoff: { seconds: 0n, nanos: 250_000_000 }, multiplier: 3, jitter: 0 },
    });
  });

  it("says that its key was known", async () => {
    const first = await greet.submit(client, { town: "Lyon" }, { idempotencyKey: "k" });
    const second = await greet.submit(client, { town: "Lyon" }, { idempotencyKey: "k" });
    expect(second).toMatchObject({ id: first.id, deduplicated: true });
  });

  it("travels with those made at the same time", async () => {
    const handles = await Promise.all(Array.from({ length: 2500 }, (_, n) => client.submit("town.count", n)));
    expect(new Set(handles.map(({ id }) => id)).size).toBe(2500);
    expect(scheduler.submits.length).toBeLessThanOrEqual(4);
    expect(scheduler.submits.flat().map(({ payload }) => Number(Buffer.from(payload).toString()))).toEqual(
      Array.from({ length: 2500 }, (_, n) => n),
    );
  });

  it("gets a key where the client makes them", async () => {
    await using keyed = new Client(scheduler.address, { generateKeys: true });
    await keyed.submit("town.greet");
    expect(scheduler.submits[0]?.[0]?.idempotencyKey).toMatch(/^sdk-/);
  });

  it.each([
    [{ priority: 1.5 }, "priority"],
    [{ delay: Number.NaN }, "delay"],
    [{ runAt: new Date("soon") }, "run_at"],
    [{ idempotencyKey: "" }, "idempotency_key"],
    [{ queue: "\ud800" }, "queue"],
    [{ retry: { maxBackoff: Infinity } }, "retry.max_backoff"],
  ])("that cannot be sent names the field: %j", async (options, field) => {
    const refused = await client.submit("town.greet", null, options).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(InvalidArgument);
    expect((refused as InvalidArgument).violations.map((violation) => violation.field)).toEqual([field]);
    expect(scheduler.submits).toEqual([]);
  });

  it("is checked by its schema before it is sent", async () => {
    const shout = task("town.shout", { input: text });
    await expect(client.submit(shout, 1 as unknown as string)).rejects.toThrow(SchemaMismatch);
    expect(scheduler.submits).toEqual([]);
  });

  it("that is aborted at once is not sent", async () => {
    const reason = new Error("changed my mind");
    const call = new AbortController();
    const submit = client.submit("town.greet", null, { signal: call.signal });
    call.abort(reason);
    await expect(submit).rejects.toBe(reason);
    await client.submit("town.greet", "next");
    expect(scheduler.submits.flat().map(({ payload }) => Buffer.from(payload).toString())).toEqual(['"next"']);
  });
});

describe("a batch", () => {
  it("has an outcome for each task", async () => {
    const outcomes = await client.submitMany([
      greet.request({ town: "Lyon" }, { priority: 9 }),
      { task: "town.greet", payload: Number.NaN },
      greet.request({ town: "Oslo" }),
    ]);
    expectTypeOf(outcomes).toExtend<(TaskHandle | TaskyardError)[]>();
    expect(outcomes[0]).toMatchObject({ deduplicated: false });
    expect(outcomes[1]).toBeInstanceOf(NotJson);
    expect(outcomes[2]).toMatchObject({ deduplicated: false });
    expect(scheduler.submits[0]?.map(({ priority }) => priority)).toEqual([9, undefined]);
  });

  it("is as many calls as it takes", async () => {
    const requests = Array.from({ length: 2500 }, (_, n) => ({ task: "town.count", payload: n }));
    const outcomes = await client.submitMany(requests);
    expect(scheduler.submits.map(({ length }) => length).sort()).toEqual([1000, 1000, 500]);
    const order = outcomes.map((outcome) => scheduler.tasks.get((outcome as TaskHandle).id)?.payload);
    expect(order.map((payload) => Number(Buffer.from(payload ?? []).toString()))).toEqual(
      requests.map(({ payload }) => payload),
    );
  });

  it("tells a task's refusal without its place", async () => {
    const error = {
      reason: "IDEMPOTENCY_CONFLICT",
      message: "tasks[0].idempotency_key: is another task's",
      field: "tasks[0].idempotency_key",
      taskId: "17",
    };
    await using refusing = await Scheduler.start({
      submitTasks: ({ tasks }) => ({
        results: tasks.map(() => ({ outcome: { case: "error", value: error } as const })),
      }),
    });
    await using other = new Client(refusing.address);
    const [outcome] = await other.submitMany([{ task: "town.greet" }]);
    expect(outcome).toBeInstanceOf(IdempotencyConflict);
    expect(outcome).toMatchObject({ message: "idempotency_key: is another task's", taskId: "17" });
  });
});

describe("a submit whose answer is lost", () => {
  const losing = async (): Promise<{ scheduler: Scheduler; calls: () => number }> => {
    let calls = 0;
    const scheduler = await Scheduler.start({
      submitTasks: ({ tasks }) => {
        calls += 1;
        if (calls === 1) {
          scheduler.cut();
          return new Promise(() => undefined);
        }
        return { results: tasks.map(() => ({ outcome: { case: "task", value: { id: "1" } } as const })) };
      },
    });
    return { scheduler, calls: () => calls };
  };

  it("is not sent again without a key", async () => {
    const { scheduler, calls } = await losing();
    await using client = new Client(scheduler.address);
    const error: unknown = await client.submit("town.greet").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Unavailable);
    expect(error).toMatchObject({ outcomeUnknown: true });
    expect(calls()).toBe(1);
    await scheduler[Symbol.asyncDispose]();
  });

  it("is sent again with a key, others of its batch are not", async () => {
    const { scheduler, calls } = await losing();
    await using client = new Client(scheduler.address);
    const outcomes = await client.submitMany([{ task: "a" }, { task: "b", idempotencyKey: "k" }]);
    expect(outcomes[0]).toBeInstanceOf(Unavailable);
    expect(outcomes[1]).toMatchObject({ id: "1" });
    expect(calls()).toBe(2);
    await scheduler[Symbol.asyncDispose]();
  });
});

it("goes on with the next scheduler when one is away", async () => {
  const gone = await Scheduler.start();
  const { address } = gone;
  await gone[Symbol.asyncDispose]();
  await using both = new Client([address, scheduler.address]);
  await Promise.all(Array.from({ length: 3 }, () => both.submit("town.greet")));
  await both.submit("town.greet");
  expect(scheduler.tasks.size).toBe(4);
});

it("takes turns", async () => {
  await using other = await Scheduler.start();
  await using both = new Client([other.address, scheduler.address]);
  for (let n = 0; n < 4; n++) await both.submit("town.greet");
  expect([other.tasks.size, scheduler.tasks.size]).toEqual([2, 2]);
});

it("gives up after its time limit", async () => {
  await using limited = new Client("127.0.0.1:1", { timeLimit: 100 });
  const error: unknown = await limited.submit("town.greet").catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(Unavailable);
  expect(error).toMatchObject({ outcomeUnknown: false });
  expect(String(error)).toMatch(/can't reach 127.0.0.1:1: /);
});

it("tries again what was sent away before it was carried out", async () => {
  let calls = 0;
  await using busy = await Scheduler.start({
    submitTasks: ({ tasks }) => {
      calls += 1;
      if (calls === 1) throw refusal(Code.ResourceExhausted, "too many", { reason: "TOO_MANY_REQUESTS" });
      return { results: tasks.map(() => ({ outcome: { case: "task", value: { id: "1" } } as const })) };
    },
  });
  await using client = new Client(busy.address);
  expect((await client.submit("town.greet")).id).toBe("1");
});
