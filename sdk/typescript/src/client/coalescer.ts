/**
 * Single submits made at the same time travel together. No timer is involved: what arrives while calls are on their way
 * goes into the next one, and a lone submit goes at once.
 */

import { TaskyardError, Unavailable } from "../errors.js";
import { type Accepted, MAX_BYTES, MAX_TASKS, type Outcome, type Parcel, submit } from "./batches.js";
import { aborted, type Calls, onAbort } from "./calls.js";

/** Calls on their way at once. One would idle while its answer travels; more make each smaller and dearer. */
const FLIGHTS = 2;

/** One submit: its task, and who waits for the outcome. */
interface Passenger extends Parcel {
  readonly land: (outcome: Outcome) => void;
  gone: boolean;
  flight: Flight | undefined;
}

/** One call on its way with the submits it carries. */
interface Flight {
  readonly call: AbortController;
  waiting: number;
}

export class Coalescer {
  readonly #calls: Calls;
  #waiting: Passenger[] = [];
  readonly #flights = new Set<Flight>();
  #departing = false;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** The task once it is durable. Aborted before it was sent, it is never sent; later, its outcome is unknown. */
  submit(parcel: Parcel, signal: AbortSignal | undefined): Promise<Accepted> {
    return new Promise((resolve, reject) => {
      const passenger: Passenger = { ...parcel, land, gone: false, flight: undefined };
      const deaf = onAbort(signal, (cause) => {
        this.#leave(passenger);
        reject(aborted(cause, passenger.flight !== undefined));
      });
      function land(outcome: Outcome): void {
        deaf();
        if (outcome instanceof TaskyardError) reject(outcome);
        else resolve(outcome);
      }
      if (passenger.gone) return;
      this.#waiting.push(passenger);
      this.#departSoon();
    });
  }

  /** Fail those that still wait, and end the calls on their way. */
  close(): void {
    for (const passenger of this.#waiting.splice(0)) passenger.land(new Unavailable("the client was closed"));
    for (const { call } of this.#flights) call.abort(new Unavailable("the client was closed", true));
  }

  /** The call itself ends when nobody waits for it. */
  #leave(passenger: Passenger): void {
    passenger.gone = true;
    if (passenger.flight && --passenger.flight.waiting === 0) passenger.flight.call.abort();
  }

  // Not at once: those who submit in the same turn of the event loop shall come along.
  #departSoon(): void {
    if (this.#departing || this.#flights.size >= FLIGHTS) return;
    this.#departing = true;
    setImmediate(() => {
      this.#depart();
    });
  }

  #depart(): void {
    this.#departing = false;
    while (this.#flights.size < FLIGHTS) {
      const passengers = this.#board();
      if (passengers.length === 0) return;
      const flight: Flight = { call: new AbortController(), waiting: passengers.length };
      for (const passenger of passengers) passenger.flight = flight;
      this.#flights.add(flight);
      void this.#fly(flight, passengers);
    }
  }

  #board(): Passenger[] {
    const waiting = this.#waiting.filter(({ gone }) => !gone);
    let bytes = 0;
    const end = waiting.findIndex((passenger, n) => n === MAX_TASKS || (bytes += passenger.bytes) > MAX_BYTES);
    this.#waiting = end < 0 ? [] : waiting.slice(end);
    return end < 0 ? waiting : waiting.slice(0, end);
  }

  async #fly(flight: Flight, passengers: readonly Passenger[]): Promise<void> {
    const specs = passengers.map(({ spec }) => spec);
    const outcomes = await submit(this.#calls, specs, flight.call.signal).catch(failed(passengers.length));
    passengers.forEach((passenger, n) => {
      const outcome = outcomes[n];
      if (!passenger.gone && outcome) passenger.land(outcome);
    });
    this.#flights.delete(flight);
    if (this.#waiting.length > 0) this.#departSoon();
  }
}

/** What nobody foresaw is every passenger's error too: none may be left waiting. */
function failed(passengers: number): (error: unknown) => Outcome[] {
  return (error) => {
    const told = error instanceof TaskyardError ? error : new TaskyardError("the submit failed", "", { cause: error });
    return Array.from({ length: passengers }, () => told);
  };
}
