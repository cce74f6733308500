import { describe, expect, it } from "vitest";

import * as checkout from "../../../examples/typescript/checkout.js";
import * as hello from "../../../examples/typescript/hello.js";
import * as media from "../../../examples/typescript/media.js";
import * as polyglot from "../../../examples/typescript/polyglot.js";
import * as report from "../../../examples/typescript/report.js";
import { TestCluster } from "../src/testing/index.js";

describe("the examples", () => {
  it("greet a town", async () => {
    await using cluster = new TestCluster(hello.worker);
    const handle = await hello.greet.submit(cluster.client, { town: "Lyon" });
    expect(await handle.result()).toBe("Hello Lyon, from attempt 1");
  });

  it("charge an order once", async () => {
    await using cluster = new TestCluster(checkout.worker());
    const order = { order: 17, customer: "ada", cents: 4200 };
    const receipts = [await checkout.submit(cluster.client, order), await checkout.submit(cluster.client, order)];
    expect(receipts).toEqual(Array(2).fill({ order: 17, charge: "charge-1" }));
    expect(await checkout.submit(cluster.client, { order: 18, customer: "bob", cents: 200_000 })).toBeUndefined();
    expect(await cluster.client.redriveMany({ errorType: "CardDeclined", dryRun: true })).toMatchObject({ count: 1 });
  });

  it("encode a clip, and stop when they are cancelled", async () => {
    await using cluster = new TestCluster(media.worker(1));
    const clip = await media.submit(cluster.client, { file: "a.mov", frames: 3 });
    expect(await clip.result()).toEqual({ file: "a.mov.webm", frames: 3 });
    expect((await clip.get()).progress).toEqual({ fraction: 1, message: "frame 3" });
    const long = await media.submit(cluster.client, { file: "b.mov", frames: 1_000_000 });
    await cluster.advance(0);
    await long.cancel();
    expect(await long.wait()).toMatchObject({ state: "CANCELLED" });
  });

  it("wait for the data of a report, and redrive what gave up", async () => {
    const sales = new Map<string, number>();
    await using cluster = new TestCluster(report.worker((day) => sales.get(day.toISOString().slice(0, 10))));
    const late = report.submit(cluster.client, "2026-11-28");
    await expect(late).rejects.toMatchObject({ type: "NotReady", task: { attempt: 5 } });
    sales.set("2026-11-28", 17);
    expect(await report.redrive(cluster.client)).toMatchObject({ count: 1 });
    expect(await report.submit(cluster.client, "2026-11-28")).toEqual({ day: "2026-11-28", rows: 17 });
    await expect(report.submit(cluster.client, "soon")).rejects.toMatchObject({ type: "NoDay" });
  });

  it("hand a chain on to the next language, once", async () => {
    await using cluster: TestCluster = new TestCluster(polyglot.worker(() => cluster.client));
    const submit = (path: string[]) =>
      polyglot.hop.submit(cluster.client, { chain: 7, hops: 6, path }, { queue: "polyglot" });
    const path = ["python", "go"];
    const first = await submit(path);
    expect(await first.result()).toEqual([...path, "typescript"]);
    expect(await (await submit(path)).result()).toEqual([...path, "typescript"]);
    expect(await (await submit([...path, "typescript", ...path])).result()).toHaveLength(6);
    const next = [];
    for await (const task of cluster.client.list({ type: "polyglot.python" })) next.push(task);
    expect(next).toMatchObject([
      {
        queue: "polyglot",
        idempotencyKey: "polyglot-7-3",
        payload: { chain: 7, hops: 6, path: [...path, "typescript"] },
      },
    ]);
  });
});
