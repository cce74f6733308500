// A worker for chaos runs: `node dist/main.js`, the twin of `python -m chaos.worker`.
//
// It keeps its own log of what it started and ended: CHAOS_WORKER_LOG, with times by CHAOS_EPOCH. CHAOS_WORKER_LABELS
// ("zone=a gpu=1") and CHAOS_WORKER_QUEUES are separated by blanks. The SDK's settings apply: TASKYARD_DISPATCHERS, ...
import { hostname } from "node:os";
import { Worker } from "@taskyard/sdk";
import { Journal, steadyClock } from "./journal.js";
import { Logged } from "./logged.js";
import { TYPES } from "./performance.js";

const GRACE = 5_000;
const SLOTS = 20;

const environment = process.env;
/** What a variable says, if it says anything. */
const said = (variable: string): string | undefined =>
  environment[variable] === "" ? undefined : environment[variable];
// Tasks fail because they are told to; that is no news.
environment.TASKYARD_LOG_LEVEL ??= "error";

function words(variable: string): string[] {
  return (said(variable) ?? "").split(/\s+/).filter((word) => word !== "");
}

function pair(label: string): [string, string] {
  const [name = "", ...value] = label.split("=");
  return [name, value.join("=")];
}

function journal(): Journal {
  const log = said("CHAOS_WORKER_LOG");
  if (log === undefined) throw new Error("CHAOS_WORKER_LOG must name the worker's own log");
  const epoch = said("CHAOS_EPOCH");
  return new Journal(log, steadyClock(epoch === undefined ? undefined : Number(epoch)));
}

const name = said("TASKYARD_WORKER_NAME") ?? `${hostname()}-${process.pid}`;
const worker = new Worker({
  name,
  slots: Number(said("TASKYARD_WORKER_SLOTS") ?? SLOTS),
  labels: Object.fromEntries(words("CHAOS_WORKER_LABELS").map(pair)),
  queues: words("CHAOS_WORKER_QUEUES"),
  grace: GRACE,
});
const logged = new Logged(journal(), name, () => worker.sessionId ?? "");
for (const type of TYPES) worker.task(type, (context, payload) => logged.handle(context, payload));
await worker.run();
