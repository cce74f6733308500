import { create, toBinary } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";

import {
  HelloSchema,
  StopReason,
  TaskResultSchema,
  Verdict,
  WorkerFrameSchema,
} from "../../src/gen/worker_service_pb.js";
import {
  MAX_RESULTS_PER_FRAME,
  ProtocolError,
  REMEMBERED,
  SessionState,
  type Received,
} from "../../src/session/state.js";
import { decodeFrame, keyOf, refOf, type FrameInit, type ResultRecord } from "../../src/session/wire.js";
import { frame } from "./frames.js";

let state: SessionState;
let now: number;

beforeEach(() => {
  state = new SessionState(create(HelloSchema, { sessionId: "s", types: ["a"], slots: 5 }));
  now = 1000;
});

const receive = (init: Parameters<typeof frame>[0]): Received => state.receive(decodeFrame(frame(init)), now);
const welcome = (): Received => {
  state.hello(now);
  return receive({ welcome: { generation: 1, sessionTimeout: { seconds: 10n }, heartbeatInterval: { seconds: 3n } } });
};
const assign = (...ids: string[]): number =>
  receive({ assignments: ids.map((taskId) => ({ taskId, attempt: 1, type: "a" })) }).starts.starts.length;
const held = (): string[] => state.held().map((key) => refOf(key).taskId);
const sent = (): FrameInit | undefined => state.nextFrame(now)?.frame;

function result(taskId: string, size = 1): ResultRecord {
  const message = create(TaskResultSchema, {
    taskId,
    attempt: 1,
    outcome: { case: "result", value: Buffer.alloc(size, 49) },
  });
  const bytes = Buffer.from(toBinary(WorkerFrameSchema, create(WorkerFrameSchema, { results: [message] })));
  return { bytes, start: 0, end: bytes.length };
}

describe("a stream", () => {
  it("begins with a welcome", () => {
    state.hello(now);
    expect(() => receive({ assignments: [{ taskId: "t", attempt: 1 }] })).toThrow(ProtocolError);
  });

  it("is silent for as long as the dispatcher said", () => {
    state.hello(now);
    expect(state.silentAt).toBe(now + 5000);
    welcome();
    expect(state.silentAt).toBe(now + 10_000);
  });

  it("carries a beat each interval, which tells of the last echo", () => {
    welcome();
    expect(sent()).toBeUndefined();
    now += 3000;
    expect(sent()?.heartbeat).toMatchObject({ sequence: 1n, heard: 0n });
    receive({ heartbeat: { sequence: 1n } });
    now += 3000;
    expect(sent()?.heartbeat).toMatchObject({ sequence: 2n, heard: 1n });
    state.disconnected();
    welcome();
    now += 3000;
    expect(sent()?.heartbeat).toMatchObject({ sequence: 3n, heard: 2n });
  });
});

describe("an assignment", () => {
  it("is begun once, whatever it is sent", () => {
    welcome();
    expect(assign("t")).toBe(1);
    expect(assign("t")).toBe(0);
    state.finish(result("t"));
    expect(assign("t")).toBe(0);
    receive({ acks: [{ taskId: "t", attempt: 1, verdict: Verdict.ACCEPTED }] });
    expect(assign("t")).toBe(0);
    expect(receive({ assignments: [{ taskId: "t", attempt: 2 }] }).starts.starts).toHaveLength(1);
  });

  it("is remembered for a while after its ack", () => {
    welcome();
    for (let at = 0; at < REMEMBERED; at++) {
      assign(`t${at}`);
      state.finish(result(`t${at}`));
      receive({ acks: [{ taskId: `t${at}`, attempt: 1, verdict: Verdict.DUPLICATE }] });
    }
    expect(assign("t0")).toBe(0);
  });

  it("that crosses the drain is handed back", () => {
    welcome();
    state.drain();
    expect(assign("t")).toBe(0);
    expect(sent()).toMatchObject({ drain: true, released: [{ taskId: "t", attempt: 1 }] });
    expect(state.settled).toBe(true);
  });
});

describe("a result", () => {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- what a later release may bring
  it.each([0, Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.STALE, Verdict.INVALID, 77] as Verdict[])(
    "ends with verdict %s",
    (verdict) => {
      welcome();
      assign("t");
      state.finish(result("t"));
      expect(state.nextFrame(now)?.results).toHaveLength(1);
      expect(state.unacknowledged).toBe(1);
      receive({ acks: [{ taskId: "t", attempt: 1, verdict }] });
      expect(state.settled).toBe(true);
    },
  );

  it("goes again after each welcome until its ack", () => {
    welcome();
    assign("t", "u");
    state.finish(result("t"));
    expect(state.nextFrame(now)?.results).toHaveLength(1);
    expect(state.nextFrame(now)).toBeUndefined();
    state.disconnected();
    state.finish(result("u"));
    expect(held().sort()).toEqual(["t", "u"]);
    welcome();
    expect(state.nextFrame(now)?.results).toHaveLength(2);
  });

  it("of a lost attempt is dropped, of one that finished before it is kept", () => {
    welcome();
    assign("t", "u");
    state.finish(result("u"));
    const { stops } = receive({
      stops: ["t", "u"].map((taskId) => ({ taskId, attempt: 1, reason: StopReason.LOST })),
    });
    expect(stops.map(({ key }) => refOf(key).taskId)).toEqual(["t"]);
    expect(state.finish(result("t"))).toBe(false);
    expect(held()).toEqual(["u"]);
  });

  it("shares frames of bounded size", () => {
    welcome();
    const ids = Array.from({ length: 2500 }, (_, at) => `t${at}`);
    assign(...ids, "large1", "large2", "large3");
    for (const id of ids) state.finish(result(id));
    for (const id of ["large1", "large2", "large3"]) state.finish(result(id, 900 * 1024));
    const frames = [];
    for (let next; (next = state.nextFrame(now)) !== undefined; frames.push(next.results));
    expect(frames.flat()).toHaveLength(2503);
    for (const results of frames) {
      expect(results.length).toBeLessThanOrEqual(MAX_RESULTS_PER_FRAME);
      expect(results.reduce((size, { start, end }) => size + end - start, 0)).toBeLessThan(2 * 1024 * 1024);
    }
  });
});

it("says only the latest progress, and not too often", () => {
  welcome();
  assign("t");
  const key = keyOf("t", 1);
  state.reportProgress(key, 0.1, "a");
  state.reportProgress(key, 0.2, "b");
  expect(sent()?.progress).toMatchObject([{ taskId: "t", progress: { fraction: 0.2, message: "b" } }]);
  state.reportProgress(key, 0.3, "c");
  expect(sent()).toBeUndefined();
  now += 500;
  expect(sent()?.progress).toHaveLength(1);
});

it("says goodbye alone, and last", () => {
  welcome();
  assign("t");
  state.drain();
  state.finish(result("t"));
  state.leave();
  expect(state.nextFrame(now)).toMatchObject({ frame: { drain: true }, results: [{}] });
  expect(sent()).toEqual({ goodbye: true });
});

describe("whatever happens", () => {
  // A generator of numbers that is the same for a seed, so that a failure can be had again.
  function random(seed: number): (below: number) => number {
    let at = seed;
    return (below) => {
      at = (Math.imul(at, 1664525) + 1013904223) >>> 0;
      return Math.floor((at / 2 ** 32) * below);
    };
  }

  it.each(Array.from({ length: 200 }, (_, seed) => seed))("nothing is run twice or lost (seed %i)", (seed) => {
    const draw = random(seed + 1);
    const running = new Set<string>();
    const begun = new Map<string, number>();
    const finished = new Set<string>();
    const accepted = new Set<string>();
    const lost = new Set<string>();
    welcome();
    const steps: (() => void)[] = [
      () => {
        const ids = Array.from({ length: 1 + draw(4) }, () => `t${draw(12)}`);
        const before = new Set(held());
        assign(...ids);
        for (const id of held()) {
          if (before.has(id)) continue;
          begun.set(id, (begun.get(id) ?? 0) + 1);
          running.add(id);
        }
      },
      () => {
        const id = [...running][draw(Math.max(1, running.size))];
        if (id === undefined || !running.delete(id)) return;
        expect(state.finish(result(id))).toBe(true);
        finished.add(id);
      },
      () => {
        const id = [...finished][draw(Math.max(1, finished.size))];
        if (id === undefined || !finished.delete(id)) return;
        accepted.add(id);
        receive({ acks: [{ taskId: id, attempt: 1, verdict: Verdict.ACCEPTED }] });
      },
      () => {
        const id = [...running][draw(Math.max(1, running.size))];
        if (id === undefined) return;
        receive({ stops: [{ taskId: id, attempt: 1, reason: StopReason.LOST }] });
        running.delete(id);
        lost.add(id);
      },
      () => {
        state.disconnected();
        welcome();
        const frames = [];
        for (let next; (next = state.nextFrame(now)) !== undefined; frames.push(...next.results));
        expect(frames).toHaveLength(finished.size);
      },
      () => void state.nextFrame((now += draw(700))),
    ];
    for (let step = 0; step < 150; step++) {
      steps[draw(steps.length)]?.();
      expect(new Set(held())).toEqual(new Set([...running, ...finished]));
    }
    for (const [id, times] of begun) if (!lost.has(id)) expect(times).toBe(1);
    for (const id of accepted) expect(assign(id)).toBe(0);
  });
});
