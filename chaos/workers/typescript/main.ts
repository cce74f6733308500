// A worker for chaos runs: `node dist/main.js`, the twin of `python -m chaos.worker`.
//
// It keeps its own log of what it started and ended (CHAOS_WORKER_LOG). The SDK's settings apply: TASKYARD_DISPATCHERS ...
import { hostname } from "node:os";
import { Worker } from "@taskyard/sdk";
import { Journal, steadyClock } from "./journal.js";
import { Logged } from "./logged.js";
import { TYPES } from "./performance.js";

const GRACE = 5_000;
const SLOTS = 20;

const environment = process.env;
// Tasks fail because they are told to; that is no news.
environment.TASKYARD_LOG_LEVEL ??= "error";

function words(text = ""): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}

function pair(label: string): [string, string] {
  const [name = "", ...value] = label.split("=");
  return [name, value.join("=")];
}

function journalOf({ CHAOS_WORKER_LOG, CHAOS_EPOCH }: NodeJS.ProcessEnv): Journal {
  if (!CHAOS_WORKER_LOG) throw new Error("CHAOS_WORKER_LOG must name the worker's own log");
  return new Journal(CHAOS_WORKER_LOG, steadyClock(CHAOS_EPOCH ? Number(CHAOS_EPOCH) : undefined));
}

const name = environment.TASKYARD_WORKER_NAME || `${hostname()}-${process.pid}`;
const worker = new Worker({
  name,
  slots: Number(environment.TASKYARD_WORKER_SLOTS || SLOTS),
  labels: Object.fromEntries(words(environment.CHAOS_WORKER_LABELS).map(pair)),
  queues: words(environment.CHAOS_WORKER_QUEUES),
  grace: GRACE,
});
const logged = new Logged(journalOf(environment), name, () => worker.sessionId ?? "");
for (const type of TYPES) worker.task(type, (context, payload) => logged.handle(context, payload));
await worker.run();
