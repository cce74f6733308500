import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";

import { TaskState } from "../../src/gen/task_pb.js";
import type { ListTasksRequest } from "../../src/gen/task_service_pb.js";
import { Client, Unavailable } from "../../src/index.js";
import { refusal, Scheduler } from "./scheduler.js";

describe("a list", () => {
  it("goes through all pages, empty ones too", async () => {
    const asked: ListTasksRequest[] = [];
    const pages = [["1", "2"], [], ["3"]];
    await using scheduler = await Scheduler.start({
      listTasks: (request) => {
        asked.push(request);
        const page = Number(request.pageToken);
        return { tasks: (pages[page] ?? []).map((id) => ({ id })), nextPageToken: page < 2 ? String(page + 1) : "" };
      },
    });
    await using client = new Client(scheduler.address, { namespace: "shop" });
    const ids: string[] = [];
    for await (const { id } of client.list({ type: "a.b", state: "FAILED", errorType: "Boom", pageSize: 2 }))
      ids.push(id);
    expect(ids).toEqual(["1", "2", "3"]);
    expect(asked.map(({ pageToken }) => pageToken)).toEqual(["", "1", "2"]);
    expect(asked[0]).toMatchObject({
      pageSize: 2,
      filter: { namespace: "shop", type: "a.b", state: TaskState.FAILED, errorType: "Boom" },
    });
  });

  it("asks for smaller pages where one is too large", async () => {
    const sizes: number[] = [];
    await using scheduler = await Scheduler.start({
      listTasks: ({ pageSize }) => {
        sizes.push(pageSize);
        if (pageSize > 25) throw refusal(Code.ResourceExhausted, "Sent message larger than max (9 vs. 8)", {});
        return { tasks: [{ id: "1" }] };
      },
    });
    await using client = new Client(scheduler.address);
    expect(await client.list().next()).toMatchObject({ value: { id: "1" } });
    expect(sizes).toEqual([100, 50, 25]);
  });

  it("is read no further than it is used", async () => {
    let calls = 0;
    await using scheduler = await Scheduler.start({
      listTasks: () => ({ tasks: [{ id: String(++calls) }], nextPageToken: "more" }),
    });
    await using client = new Client(scheduler.address);
    for await (const { id } of client.list()) if (id === "2") break;
    expect(calls).toBe(2);
  });
});

describe("a call that changes nothing", () => {
  it("is tried again whatever happened", async () => {
    let calls = 0;
    await using scheduler = await Scheduler.start({
      getTask: ({ id }) => {
        calls += 1;
        if (calls < 3) throw refusal(Code.Unavailable, "postgres is away", { reason: "UNAVAILABLE" });
        return { id, state: TaskState.RUNNING, attempt: 2, progress: { fraction: 0.5, message: "half" } };
      },
    });
    await using client = new Client(scheduler.address);
    const task = await client.get("00000000-0000-7000-8000-00000000000A");
    expect(task).toMatchObject({
      id: "00000000-0000-7000-8000-00000000000a",
      state: "RUNNING",
      progress: { fraction: 0.5, message: "half" },
      result: undefined,
      error: undefined,
    });
  });

  it("leaves nothing unknown", async () => {
    await using scheduler = await Scheduler.start({
      getTask: () => {
        throw refusal(Code.Unavailable, "postgres is away", { reason: "UNAVAILABLE" });
      },
    });
    await using client = new Client(scheduler.address, { timeLimit: 100 });
    const error: unknown = await client.get("1").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Unavailable);
    expect(error).toMatchObject({ outcomeUnknown: false, message: "postgres is away" });
  });
});

describe("a redrive", () => {
  it("is not repeated, a dry run is", async () => {
    const asked: boolean[] = [];
    await using scheduler = await Scheduler.start({
      redriveTasks: ({ dryRun }) => {
        asked.push(dryRun);
        if (asked.length < 3) throw refusal(Code.Unavailable, "away", { reason: "UNAVAILABLE" });
        return { count: 1, ids: ["1"] };
      },
    });
    await using client = new Client(scheduler.address);
    await expect(client.redriveMany()).rejects.toMatchObject({ outcomeUnknown: true });
    expect(asked).toEqual([false]);
    expect(await client.redriveMany({ errorType: "Boom", dryRun: true })).toEqual({ count: 1, ids: ["1"] });
    expect(asked).toEqual([false, true, true]);
  });

  it("refuses a limit of none", async () => {
    await using client = new Client("localhost:1");
    expect(() => client.purgeMany({ limit: 0 })).toThrow("limit: must be at least 1");
  });
});

it("reads times, durations and enums of newer servers", async () => {
  await using scheduler = await Scheduler.start({
    getTask: () => ({
      state: 99 as unknown as TaskState,
      createdAt: { seconds: 1n, nanos: 999_999_999 },
      expiresAt: { seconds: 10n ** 15n, nanos: 0 },
      timeout: { seconds: 1n, nanos: 500_000 },
    }),
  });
  await using client = new Client(scheduler.address);
  const task = await client.get("1");
  expect(task.state).toBe("UNKNOWN");
  expect(task.createdAt).toEqual(new Date("1970-01-01T00:00:01.999Z"));
  expect(task.expiresAt?.getTime()).toBe(8.64e15);
  expect(task.timeout).toBe(1000.5);
});
