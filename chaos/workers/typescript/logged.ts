// A handler that notes what it does, before anybody else can know it.
import type { Context } from "@taskyard/sdk";
import type { Attempt, Journal, Outcome } from "./journal.js";
import { digestOf, Hopeless, perform, type Payload, type Result } from "./performance.js";

export class Logged {
  readonly #journal: Journal;
  readonly #worker: string;
  readonly #session: () => string;

  constructor(journal: Journal, worker: string, session: () => string) {
    this.#journal = journal;
    this.#worker = worker;
    this.#session = session;
  }

  async handle(context: Context, payload: unknown): Promise<Result> {
    const attempt: Attempt = [this.#worker, this.#session(), ...context.token];
    this.#journal.append(["Started", this.#journal.now(), ...attempt]);
    let returned: Result;
    try {
      returned = await perform(context, payload as Payload);
    } catch (error) {
      this.#ended(attempt, outcomeOf(error), null);
      throw error;
    }
    this.#ended(attempt, "SUCCEEDED", digestOf(returned));
    return returned;
  }

  #ended(attempt: Attempt, outcome: Outcome, digest: string | null): void {
    this.#journal.append(["Ended", this.#journal.now(), ...attempt, outcome, digest]);
  }
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof Hopeless) return "HOPELESS";
  // A sleep that the attempt's signal broke off; the SDK takes it for the stop that it asked for.
  return error instanceof Error && error.name === "AbortError" ? "STOPPED" : "FAILED";
}
