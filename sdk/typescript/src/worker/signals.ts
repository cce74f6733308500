/** A worker that is the whole program: it stops in order when it is told to, and no handler ends it. */

import { constants } from "node:os";

import type { Logger } from "./log.js";
import { describe, panicked } from "./outcome.js";
import type { Service } from "./service.js";

const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"] as const;
type Signal = (typeof SIGNALS)[number];

/** Serve until the service has ended; the first signal stops it, a second one ends the process at once. */
export async function untilSignalled(service: Service, log: Logger): Promise<void> {
  const exit = process.exit.bind(process);
  let asked = false;
  const obey = (signal: Signal): void => {
    if (asked) exit(128 + constants.signals[signal]);
    asked = true;
    log.info(`${signal} came`);
    void service.stop();
  };
  for (const signal of SIGNALS) process.on(signal, obey);
  const letGo = outlive(log);
  try {
    await service.finished;
  } finally {
    letGo();
    for (const signal of SIGNALS) process.off(signal, obey);
  }
}

/** Go on whatever code that handlers have left behind throws, or if one wants to end the program. */
function outlive(log: Logger): () => void {
  const note = (thrown: unknown): void => {
    const { type, message, stack } = describe(thrown);
    log.error("an error that nobody caught", { error: type, why: message, stack });
  };
  // eslint-disable-next-line @typescript-eslint/unbound-method -- put back as it was
  const exit = process.exit;
  process.exit = (code) => {
    throw panicked(`process.exit(${code ?? ""}) was called`);
  };
  process.on("uncaughtException", note);
  process.on("unhandledRejection", note);
  return () => {
    process.exit = exit;
    process.off("uncaughtException", note);
    process.off("unhandledRejection", note);
  };
}
