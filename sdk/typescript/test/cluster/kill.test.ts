import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import type * as sdk from "../../src/index.js";

/** As it is built: the session runs in its thread. */
const built = new URL("../../dist/esm/index.js", import.meta.url).href;
const server = new URL("../../../../.venv/bin/taskyard-server", import.meta.url).pathname;

interface Process {
  readonly role: string;
  readonly pid: number;
  readonly addresses: Readonly<Record<string, string>>;
}

let directory: string;
let cluster: ChildProcess;

const processes = (): Process[] =>
  (JSON.parse(readFileSync(join(directory, "cluster.json"), "utf8")) as { processes: Process[] }).processes;
const dispatchers = (): Process[] => processes().filter(({ role }) => role === "dispatcher");

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "taskyard-typescript-"));
  const ports = ["--rest-port", "0", "--grpc-port", "0", "--session-port", "0"];
  const roles = ["--workers", "0", "--dispatchers", "2"];
  cluster = spawn(server, ["dev", "--dir", directory, ...roles, ...ports], { stdio: ["ignore", "pipe", "inherit"] });
  if (cluster.stdout === null) throw new Error("no output");
  for await (const line of createInterface({ input: cluster.stdout })) if (line.startsWith("READY")) return;
  throw new Error("the cluster did not come up");
}, 120_000);

afterAll(async () => {
  const ended = once(cluster, "exit");
  cluster.kill("SIGTERM");
  await ended;
  rmSync(directory, { recursive: true, force: true });
}, 60_000);

describe("a worker whose dispatcher is killed", () => {
  it("brings all results home, each from its first attempt", { timeout: 120_000 }, async () => {
    const { Client, task, Worker } = (await import(built)) as typeof sdk;
    const wait = task<number, { n: number; attempt: number }>("typescript.wait");
    let address = "";
    const noted = (_message: string, fields: sdk.Fields = {}): void => {
      if (typeof fields.address === "string") address = fields.address;
    };
    const logger = { debug: noted, info: noted, warn: noted, error: noted };
    const count = 60;
    let started = 0;
    let allStarted: () => void = () => undefined;
    let open: () => void = () => undefined;
    const all = new Promise<void>((resolve) => (allStarted = resolve));
    const gate = new Promise<void>((resolve) => (open = resolve));

    const addresses = dispatchers().map(({ addresses: { session = "" } }) => session);
    await using worker = new Worker({ dispatchers: addresses, logger, slots: count });
    worker.task(wait, async ({ attempt }, n) => {
      if (++started === count) allStarted();
      await gate;
      return { n, attempt };
    });
    await worker.start();
    await using client = new Client({ address: processes().find(({ role }) => role === "scheduler")?.addresses.grpc });
    const handles = await Promise.all(Array.from({ length: count }, (_, n) => client.submit(wait, n)));
    await all;

    const victim = dispatchers().find(({ addresses: { session } }) => session === address);
    if (victim === undefined) throw new Error(`no dispatcher at ${address}`);
    process.kill(victim.pid, "SIGKILL");
    open();
    const results = await Promise.all(handles.map((handle) => handle.result({ timeout: 60_000 })));

    expect(results).toEqual(Array.from({ length: count }, (_, n) => ({ n, attempt: 1 })));
    expect(started).toBe(count);
    expect(address).not.toBe(victim.addresses.session);
  });

  it("keeps its session while a handler blocks the thread", { timeout: 120_000 }, async () => {
    const { Client, task, Worker } = (await import(built)) as typeof sdk;
    const block = task<number, number>("typescript.block");
    const quiet = (): void => undefined;
    const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    await using worker = new Worker({
      dispatchers: dispatchers().map(({ addresses: { session = "" } }) => session),
      logger,
    });
    worker.task(block, ({ attempt }, milliseconds) => {
      const until = Date.now() + milliseconds;
      while (Date.now() < until);
      return attempt;
    });
    await worker.start();
    await using client = new Client({ address: processes().find(({ role }) => role === "scheduler")?.addresses.grpc });
    const handle = await client.submit(block, 14_000);
    expect(await handle.result({ timeout: 60_000 })).toBe(1);
  });
});
