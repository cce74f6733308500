import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { Journal, steadyClock } from "../../../chaos/workers/typescript/journal.js";
import { Logged } from "../../../chaos/workers/typescript/logged.js";
import { digestOf, type Payload, result } from "../../../chaos/workers/typescript/performance.js";
import results from "../../../chaos/workers/results.json" with { type: "json" };
import { Worker } from "../src/index.js";
import { encode } from "../src/payload.js";
import { TestCluster } from "../src/testing/index.js";

describe("the chaos worker", () => {
  it.each(results)("returns the same bytes as the one in Python: $of", ({ payload, attempt, bytes, digest }) => {
    const returned = result(payload, attempt);
    expect({ bytes: encode(returned).length, digest: digestOf(returned) }).toEqual({ bytes, digest });
  });

  it("notes each attempt as it starts and as it ends", async () => {
    const log = join(mkdtempSync(join(tmpdir(), "chaos-")), "worker", "w1.jsonl");
    const logged = new Logged(new Journal(log, () => 17.5), "w1", () => "s1");
    const worker = new Worker().task("chaos.any", (context, payload) => logged.handle(context, payload));
    await using cluster = new TestCluster(worker);
    const run = async (payload: Payload): Promise<string> => (await cluster.client.submit("chaos.any", payload)).id;

    const flaky = await run({ token: "a", failures: 1 });
    const returned = await cluster.client.result(flaky);
    const hopeless = await run({ token: "b", hopeless: true });
    await expect(cluster.client.result(hopeless)).rejects.toMatchObject({ type: "Hopeless" });
    const long = await run({ token: "c", seconds: 3600 });
    await cluster.advance(0);
    await cluster.client.cancel(long);
    await cluster.client.wait(long);

    const events = readFileSync(log, "utf8").trimEnd().split("\n");
    expect(events.map((line) => JSON.parse(line) as unknown)).toEqual([
      ["Started", 17.5, "w1", "s1", flaky, 1],
      ["Ended", 17.5, "w1", "s1", flaky, 1, "FAILED", null],
      ["Started", 17.5, "w1", "s1", flaky, 2],
      ["Ended", 17.5, "w1", "s1", flaky, 2, "SUCCEEDED", digestOf(returned as ReturnType<typeof result>)],
      ["Started", 17.5, "w1", "s1", hopeless, 1],
      ["Ended", 17.5, "w1", "s1", hopeless, 1, "HOPELESS", null],
      ["Started", 17.5, "w1", "s1", long, 1],
      ["Ended", 17.5, "w1", "s1", long, 1, "STOPPED", null],
    ]);
  });

  it("counts seconds from the epoch that it is told by the monotonic clock", () => {
    const before = process.hrtime.bigint();
    const told = steadyClock(1000)();
    const after = process.hrtime.bigint();
    expect(told).toBeGreaterThanOrEqual(1000 + Number(before) / 1e9 - 1e-6);
    expect(told).toBeLessThanOrEqual(1000 + Number(after) / 1e9 + 1e-6);
  });
});
