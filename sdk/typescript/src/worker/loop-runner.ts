/** Runs handlers on the event loop of the worker's own thread. */

import { performance } from "node:perf_hooks";

import type { Attempt, Ledger, Runner } from "./attempt.js";
import { checkOutput, readInput, writeResult } from "./outcome.js";

export class LoopRunner implements Runner {
  readonly unwinds = true;
  readonly #ledger: Ledger;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  start(attempt: Attempt): void {
    attempt.started = performance.now();
    try {
      const input = readInput(attempt.registration.definition, attempt.assignment.payload);
      const value = isPromise(input)
        ? input.then((checked) => this.#call(attempt, checked))
        : this.#call(attempt, input);
      // Without a promise there is no need to wait for one.
      if (isPromise(value) || attempt.registration.definition.output !== undefined) void this.#await(attempt, value);
      else this.#ledger.returned(attempt, writeResult(value));
    } catch (error) {
      this.#ledger.failed(attempt, error);
    }
  }

  stop(): void {
    // The context has told the handler. Nothing else can reach it.
  }

  #call({ registration: { run }, context }: Attempt, input: unknown): unknown {
    if (run instanceof URL) throw new Error("an isolated handler does not run on the event loop");
    return run(context, input);
  }

  async #await(attempt: Attempt, value: unknown): Promise<void> {
    try {
      const returned: unknown = await value;
      const { output } = attempt.registration.definition;
      if (output !== undefined) await checkOutput(output, returned);
      this.#ledger.returned(attempt, writeResult(returned));
    } catch (error) {
      this.#ledger.failed(attempt, error);
    }
  }
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
