import { fromBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";

import { Verdict, WorkerFrameSchema } from "../../src/gen/worker_service_pb.js";
import type { ToSession } from "../../src/session/messages.js";
import { decodeFrame, encodeFrame, keyAt, keyOf, PREFIX_BYTES, refOf } from "../../src/session/wire.js";
import { readAssignment } from "../../src/worker/assignment.js";
import { describe as described } from "../../src/worker/outcome.js";
import { Outbox } from "../../src/worker/outbox.js";
import { frame } from "./frames.js";

describe("a key", () => {
  it.each([
    ["01a226e7-5436-771f-b3f1-31c437af8cb0", 1],
    ["", 0],
    ["é😀", 127],
    ["x".repeat(500), 2 ** 31 - 1],
  ])("of %s attempt %i is read as it is made", (taskId, attempt) => {
    expect(refOf(keyOf(taskId, attempt))).toMatchObject({ taskId, attempt });
    const { assignments } = decodeFrame(frame({ assignments: [{ taskId, attempt, type: "a" }] }));
    expect(assignments.keys).toEqual([keyOf(taskId, attempt)]);
  });

  it("does not depend on the order of fields", () => {
    const shuffled = Buffer.from("100112027432180122026162", "hex");
    // attempt 1, an unknown field 2 as text: only field 1 is the id.
    expect(() => refOf(keyAt(shuffled, 0, shuffled.length))).toThrow();
    const swapped = Buffer.from("10010a027432", "hex");
    expect(keyAt(swapped, 0, swapped.length)).toBe(keyOf("t2", 1));
  });
});

it("reads all of an assignment", () => {
  const bytes = frame({
    heartbeat: { sequence: 5n },
    assignments: [
      {
        taskId: "t",
        attempt: 300,
        type: "a.b",
        payload: Buffer.from('{"ü":1}'),
        queue: "q",
        timeout: { seconds: 1n, nanos: 500_000_000 },
        failures: 2,
        crashes: 3,
        traceparent: "00-x",
        createdAt: { seconds: 1_767_323_045n, nanos: 500_000_000 },
        resent: true,
      },
    ],
    acks: [{ taskId: "u", attempt: 1, verdict: Verdict.STALE }],
  });
  const { assignments, acks, rest } = decodeFrame(bytes);
  expect(rest?.heartbeat?.sequence).toBe(5n);
  expect(acks).toEqual({ keys: [keyOf("u", 1)], verdicts: [Verdict.STALE] });
  expect(readAssignment(bytes, assignments.starts[0] ?? 0, assignments.ends[0] ?? 0)).toEqual({
    key: keyOf("t", 300),
    taskId: "t",
    attempt: 300,
    type: "a.b",
    payload: '{"ü":1}',
    queue: "q",
    timeout: 1500,
    failures: 2,
    crashes: 3,
    traceparent: "00-x",
    createdAt: 1_767_323_045_500,
  });
});

it("refuses frames that are cut, and never reads on", () => {
  const whole = frame({ assignments: [{ taskId: "t", attempt: 1, type: "a" }], acks: [{ taskId: "u", attempt: 1 }] });
  let refused = 0;
  for (let length = 1; length < whole.length; length++) {
    try {
      decodeFrame(whole.subarray(0, length));
    } catch {
      refused++;
    }
  }
  // It may only end between its two fields.
  expect(refused).toBe(whole.length - 2);
});

it("writes results as the generated code reads them", () => {
  const posted: ToSession[] = [];
  const outbox = new Outbox((message) => posted.push(message));
  outbox.returned(keyOf("t", 1), '"é😀"', 1234.5);
  outbox.returned(keyOf("u", 2), `"${"x".repeat(300_000)}"`, 0);
  outbox.failed(keyOf("v", 3), described(new TypeError("boom")), 10);
  outbox.cancelled(keyOf("w", 4), 86_400_000);
  outbox.flush();
  const message = posted[0];
  if (message?.do !== "results") throw new Error("no results");
  let start = 0;
  const records = message.ends.map((end) => {
    const record = { bytes: Buffer.from(message.bytes), start, end };
    start = end;
    return record;
  });
  const sent = encodeFrame({ heartbeat: { sequence: 1n } }, records).subarray(PREFIX_BYTES);
  const { results } = fromBinary(WorkerFrameSchema, sent);
  expect(results.map(({ taskId, attempt }) => `${taskId}${attempt}`)).toEqual(["t1", "u2", "v3", "w4"]);
  expect(results[0]?.outcome).toEqual({ case: "result", value: Buffer.from('"é😀"') });
  expect(results[0]?.runTime).toMatchObject({ seconds: 1n, nanos: 234_500_000 });
  expect(results[2]?.outcome).toMatchObject({
    case: "error",
    value: { type: "TypeError", message: "boom", retryable: true },
  });
  expect(results[3]).toMatchObject({ outcome: { case: "cancelled", value: true }, runTime: { seconds: 86_400n } });
});
