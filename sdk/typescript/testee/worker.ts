/** The worker's commands of the conformance kit. */

import { spawn } from "node:child_process";
import { BroadcastChannel, isMainThread } from "node:worker_threads";

import { NonRetryable, Worker, type Context, type Logger, type WorkerOptions } from "@taskyard/sdk";

import type { Command } from "./client.js";
import { tell } from "./lines.js";
import { made } from "./made.js";
import { type Fields, milliseconds, problem, Refusal, Unsupported } from "./notation.js";

export const features = ["worker", "isolated", "big-integers", "logs", "signals", "stray-errors", "exit-caught"];

class KitError extends Error {}
class KitFatal extends NonRetryable {}
class KitUnsupported extends Error {}

interface Script {
  readonly do: string;
  readonly gate?: string;
  readonly value?: unknown;
  readonly on_stop?: string;
  readonly message?: string;
  readonly size?: number;
  readonly non_retryable?: boolean;
  readonly what?: string;
  readonly seconds?: number;
  readonly reports?: readonly (readonly [number, string])[];
}

interface Start {
  readonly worker?: string;
  readonly dispatchers?: readonly string[];
  readonly types?: readonly string[];
  readonly isolated?: readonly string[];
  readonly blocking?: readonly string[];
  readonly queues?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly slots?: number;
  readonly namespace?: string;
  readonly name?: string;
  readonly version?: string;
  readonly grace?: string;
  readonly signals?: boolean;
  readonly tracing?: boolean;
  readonly tls?: unknown;
  readonly token?: unknown;
}

const workers = new Map<string, Worker>();
const gates = new Map<string, Gate>();

export const commands: Readonly<Record<string, Command>> = {
  "worker.start": start,
  "worker.stop": ({ worker = "w" }) => {
    void workers.get(String(worker))?.stop();
    return {};
  },
  "gate.open": ({ gate }: Fields) => {
    gateOf(String(gate)).open();
    return {};
  },
};

async function start(given: Start): Promise<object> {
  const unsupported = (["blocking", "tracing", "tls", "token"] as const).find((field) => given[field] !== undefined);
  if (unsupported !== undefined) throw new Unsupported(unsupported);
  const id = given.worker ?? "w";
  const worker = new Worker(optionsOf(given));
  for (const type of given.types ?? []) worker.task(type, (context, payload) => handle(id, context, payload));
  const module = new URL("./isolated.js", import.meta.url);
  for (const type of given.isolated ?? []) worker.isolated(type, module);
  workers.set(id, worker);
  // Also without `signals`: only so nothing that a handler does ends the program.
  const running = worker.run();
  // What its settings lack is told before anything else happens.
  if (worker.sessionId === undefined) await running.catch(refuse);
  running.then(
    () => {
      tell({ event: "worker.ended", worker: id });
    },
    (error: unknown) => {
      tell({ event: "worker.ended", worker: id, error: problem(error) });
    },
  );
  return {};
}

function refuse(error: unknown): never {
  throw new Refusal(error instanceof Error ? error.message : String(error));
}

function optionsOf(given: Start): WorkerOptions {
  const { dispatchers, queues, labels, slots, namespace, name, version, grace } = given;
  return {
    logger,
    ...(dispatchers && { dispatchers }),
    ...(queues && { queues }),
    ...(labels && { labels }),
    ...(slots !== undefined && { slots }),
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
    ...(version !== undefined && { version }),
    ...(grace !== undefined && { grace: milliseconds(grace) }),
  };
}

const logged =
  (level: string) =>
  (message: string, fields: object = {}): void => {
    tell({ event: "log", level, message, fields });
  };
const logger: Logger = {
  debug: logged("debug"),
  info: logged("info"),
  warn: logged("warning"),
  error: logged("error"),
};

interface Gate {
  readonly opened: Promise<void>;
  readonly open: () => void;
}

function gateOf(name: string): Gate {
  const known = gates.get(name);
  if (known !== undefined) return known;
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  gates.set(name, { opened, open });
  if (!isMainThread) between.postMessage({ ask: name });
  return { opened, open };
}

/** Gates that are open in the main thread are so in those of isolated handlers. */
const between = new BroadcastChannel("gates");
between.unref();
between.onmessage = (event) => {
  const { ask, opened } = (event as { data: { ask?: string; opened?: string } }).data;
  if (opened !== undefined && !isMainThread) gateOf(opened).open();
  if (ask !== undefined && isMainThread) {
    void gateOf(ask).opened.then(() => {
      between.postMessage({ opened: ask });
    });
  }
};

/** The kit's handler. */
export async function handle(worker: string, context: Context, payload: unknown): Promise<unknown> {
  const { taskId: task, attempt } = context;
  const { type, queue, failures, crashes, createdAt, deadline } = context;
  const told = { queue, failures, crashes, created_at: createdAt.toISOString(), deadline: deadline?.toISOString() };
  tell({ event: "started", worker, task, attempt, type, payload, ...told });
  try {
    const value = await behave(context, payload);
    tell({ event: "ended", task, attempt, how: "returned" });
    return value;
  } catch (error) {
    const how = context.signal.aborted && error === context.signal.reason ? "stopped" : "failed";
    tell({ event: "ended", task, attempt, how });
    throw error;
  }
}

/** The same in a thread of its own. */
export async function handleIsolated(context: Context, payload: unknown): Promise<unknown> {
  return handle("w", context, payload);
}

async function behave(context: Context, payload: unknown): Promise<unknown> {
  if (!isScript(payload)) return payload;
  switch (payload.do) {
    case "return":
      return payload.value;
    case "make":
      return made({ what: payload.what, size: payload.size });
    case "fail":
      throw failure(payload);
    case "panic":
      // eslint-disable-next-line @typescript-eslint/only-throw-error
      throw "boom";
    case "exit":
      return process.exit(3);
    case "stray":
      setImmediate(() => {
        throw new KitError("boom");
      });
      return wait(context, payload);
    case "gate":
      return wait(context, payload);
    case "burn":
      burn(payload.seconds ?? 0);
      return null;
    case "progress":
      for (const [fraction, message] of payload.reports ?? []) context.progress(fraction, message);
      return payload.gate === undefined ? payload.value : wait(context, payload);
    case "child": {
      const { pid } = spawn("sleep", ["3600"], { stdio: "ignore" });
      tell({ event: "child", task: context.taskId, attempt: context.attempt, pid });
      return wait(context, payload);
    }
    default:
      throw new KitUnsupported(payload.do);
  }
}

function isScript(payload: unknown): payload is Script {
  return typeof payload === "object" && payload !== null && "do" in payload && typeof payload.do === "string";
}

function failure({ message = "boom", size, non_retryable: final = false }: Script): Error {
  const text = size === undefined ? message : "é".repeat(size);
  return final ? new KitFatal(text) : new KitError(text);
}

async function wait(context: Context, { gate = "", value, on_stop: onStop = "stop" }: Script): Promise<unknown> {
  const { opened } = gateOf(gate);
  const stopped = new Promise<"stopped">((resolve) => {
    const stop = (): void => {
      tell({ event: "stopped", task: context.taskId, attempt: context.attempt, cause: causeOf(context) });
      resolve("stopped");
    };
    if (context.signal.aborted) stop();
    else context.signal.addEventListener("abort", stop, { once: true });
  });
  if ((await Promise.race([opened, stopped])) !== "stopped" || onStop === "return") return value;
  if (onStop === "fail") throw new KitError("boom");
  if (onStop !== "ignore") throw context.signal.reason;
  await opened;
  return value;
}

function causeOf({ signal }: Context): string {
  const { stop } = signal.reason as { stop: string };
  return stop === "drain" ? "SHUTDOWN" : stop.toUpperCase();
}

function burn(seconds: number): void {
  const until = Date.now() + seconds * 1000;
  while (Date.now() < until);
}
