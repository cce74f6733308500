/** A thread for isolated handlers. It is ended from outside where that is needed. */

import { parentPort } from "node:worker_threads";

import { isNonRetryable, isStop } from "../errors.js";
import { task } from "../definition.js";
import type { Assignment } from "./assignment.js";
import { AttemptContext, type Context } from "./context.js";
import type { FromIsolate, ToIsolate } from "./isolate-messages.js";
import { checkOutput, describe, readInput, writeResult, type ErrorClass } from "./outcome.js";
import { isIsolated, type IsolatedModule } from "./isolated.js";

if (parentPort === null) throw new Error("this file is a thread of a worker's, not a program");
const port = parentPort;
const draining = new AbortController();
let context: AttemptContext | undefined;

port.on("message", (message: ToIsolate) => {
  if (message.do === "run") void run(message.module, message.assignment);
  else if (message.do === "stop") context?.stop(message.cause);
  else draining.abort();
});

async function run(url: string, assignment: Assignment): Promise<void> {
  let nonRetryable: readonly ErrorClass[] = [];
  context = new AttemptContext(assignment, draining.signal, (_key, fraction, message) => {
    tell({ tell: "progress", fraction, message });
  });
  try {
    const module = await load(url, assignment.type);
    nonRetryable = module.nonRetryable;
    tell({ tell: "returned", text: await call(module, context, assignment.payload) });
  } catch (error) {
    const failure = describe(error, nonRetryable);
    tell({ tell: "failed", failure, ofStop: isStop(error), final: isNonRetryable(error) });
  } finally {
    context = undefined;
  }
}

async function load(url: string, type: string): Promise<IsolatedModule> {
  const { default: found } = (await import(url)) as { default?: unknown };
  // What CommonJS exports as its default is one level further down.
  const exported = typeof found === "object" && found !== null && "default" in found ? found.default : found;
  if (typeof exported === "function") {
    const handler = exported as (context: Context, input: unknown) => unknown;
    return { definition: task(type), handler, nonRetryable: [] };
  }
  if (isIsolated(exported)) return exported;
  throw new TypeError(`${url} does not export a handler as its default`);
}

async function call(module: IsolatedModule, own: AttemptContext, payload: string): Promise<string> {
  const returned = await module.handler(own, await readInput(module.definition, payload));
  if (module.definition.output !== undefined) await checkOutput(module.definition.output, returned);
  return writeResult(returned);
}

function tell(message: FromIsolate): void {
  port.postMessage(message);
}
