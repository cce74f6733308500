import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from "vitest";

import { TaskErrorSchema, TaskState } from "../../src/gen/task_pb.js";
import {
  Client,
  DeadlineExceeded,
  InvalidArgument,
  NotFound,
  SchemaMismatch,
  type StandardSchema,
  task,
  TaskCancelled,
  TaskFailed,
  Unavailable,
} from "../../src/index.js";
import { refusal, Scheduler } from "./scheduler.js";

const greet = task<{ town: string }, string>("town.greet");
const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

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

/** Resolves once `condition` holds, looking after each turn of the event loop. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe("a result", () => {
  it("is what the handler returned", async () => {
    const handle = await greet.submit(client, { town: "Lyon" });
    const result = handle.result();
    scheduler.end(handle.id, { result: json("Hello Lyon") });
    expectTypeOf(result).toEqualTypeOf<Promise<string>>();
    expect(await result).toBe("Hello Lyon");
  });

  it("is read through its schema", async () => {
    const date: StandardSchema<string, Date> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (value) =>
          typeof value === "string" ? { value: new Date(value) } : { issues: [{ message: "must be text" }] },
      },
    };
    const when = task("town.when", { output: date });
    const [good, bad] = await Promise.all([when.submit(client, null), when.submit(client, null)]);
    scheduler.end(good.id, { result: json("2026-01-02T00:00:00Z") });
    scheduler.end(bad.id, { result: json(1) });
    expect(await good.result()).toEqual(new Date("2026-01-02T00:00:00Z"));
    await expect(bad.result()).rejects.toThrow(new SchemaMismatch([{ field: "result", description: "must be text" }]));
  });

  it("of a failed task is its error", async () => {
    const handle = await client.submit("town.greet");
    const error = create(TaskErrorSchema, { type: "NoTown", message: "no town", stack: "NoTown: no town\n  at greet" });
    scheduler.end(handle.id, { state: TaskState.FAILED, error });
    const failed: unknown = await handle.result().catch((thrown: unknown) => thrown);
    expect(failed).toBeInstanceOf(TaskFailed);
    expect(failed).toMatchObject({
      name: "TaskFailed",
      type: "NoTown",
      message: `task ${handle.id} (town.greet) failed: NoTown: no town`,
      cause: { name: "NoTown", message: "no town", stack: "NoTown: no town\n  at greet" },
    });
  });

  it("of a cancelled task is an error", async () => {
    const handle = await client.submit("town.greet");
    scheduler.end(handle.id, { state: TaskState.CANCELLED });
    await expect(handle.result()).rejects.toThrow(TaskCancelled);
    expect(await handle.wait()).toMatchObject({ state: "CANCELLED", result: undefined });
  });

  it("is waited for until the time is up, and the task goes on", async () => {
    const handle = await client.submit("town.greet");
    await expect(handle.result({ timeout: 20 })).rejects.toThrow(DeadlineExceeded);
    await expect(handle.result({ signal: AbortSignal.timeout(20) })).rejects.toThrow(DeadlineExceeded);
    scheduler.end(handle.id, { result: json(1) });
    expect(await handle.result()).toBe(1);
  });

  it("is waited for until the caller gives up, which ends the stream", async () => {
    const handle = await client.submit("town.greet");
    const call = new AbortController();
    const reason = new Error("enough");
    const result = handle.result({ signal: call.signal });
    await until(() => scheduler.watching === 1);
    call.abort(reason);
    await expect(result).rejects.toBe(reason);
    await until(() => scheduler.watching === 0);
  });

  it("is waited for through an outage", async () => {
    const handle = await client.submit("town.greet");
    const result = handle.result();
    await until(() => scheduler.watches.length === 1);
    const { port, tasks } = scheduler;
    await scheduler[Symbol.asyncDispose]();
    scheduler = await Scheduler.start({}, port);
    for (const [id, task] of tasks) scheduler.tasks.set(id, task);
    scheduler.end(handle.id, { result: json("late") });
    expect(await result).toBe("late");
  });

  it("of a task that is not there is NotFound, others of its stream go on", async () => {
    const handle = await client.submit("town.greet");
    const missing = client.result("00000000-0000-7000-8000-999999999999");
    const result = handle.result();
    await expect(missing).rejects.toThrow(NotFound);
    scheduler.end(handle.id, { result: json(1) });
    expect(await result).toBe(1);
    expect(scheduler.watches.length).toBe(1);
  });
});

it("shares streams among a thousand waits", async () => {
  const handles = await Promise.all(Array.from({ length: 1000 }, () => client.submit("town.greet")));
  const results = handles.map(async (handle, n) => {
    for (let turn = 0; turn < n % 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    return handle.result();
  });
  await until(() => new Set(scheduler.watches.flat()).size === 1000);
  for (const { id } of handles) scheduler.end(id, { result: json(id) });
  expect(await Promise.all(results)).toEqual(handles.map(({ id }) => id));
  expect(scheduler.watches.length).toBeLessThanOrEqual(25);
  expect(scheduler.connections).toBe(1);
});

it("fails an id that is none alone", async () => {
  await using strict = await Scheduler.start({
    async *watchTasks({ ids }) {
      const place = ids.indexOf("nope");
      if (place >= 0)
        throw refusal(Code.InvalidArgument, "is not a UUID", { reason: "INVALID_ARGUMENT", field: `ids[${place}]` });
      yield await Promise.resolve({ tasks: ids.map((id) => ({ id, state: TaskState.SUCCEEDED, result: json(1) })) });
    },
  });
  await using client = new Client(strict.address);
  const good = client.result("00000000-0000-7000-8000-000000000001");
  const bad: unknown = await client.result("nope").catch((error: unknown) => error);
  expect(bad).toBeInstanceOf(InvalidArgument);
  expect(bad).toMatchObject({ message: 'id: "nope" is not a UUID' });
  expect(await good).toBe(1);
});

it("ends its waits when it is closed, and its connection", async () => {
  const handle = await client.submit("town.greet");
  const result = handle.result();
  await until(() => scheduler.watches.length === 1);
  const told = expect(result).rejects.toThrow(Unavailable);
  await client.close();
  await told;
  await until(() => scheduler.connections === 0);
  await expect(client.submit("town.greet")).rejects.toThrow("the client is closed");
});
