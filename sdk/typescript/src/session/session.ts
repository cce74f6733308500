/** The session's I/O: one stream to one dispatcher at a time, and timers. What is said on it is decided in `state.ts`. */

import type { StopReason, Verdict } from "../gen/worker_service_pb.js";
import type { Rotation } from "./rotation.js";
import type { Received, SessionState } from "./state.js";
import { Status, type Dial, type Ending, type Stream } from "./stream.js";
import { decodeFrame, encodeFrame, type Key, type Regions, type ResultRecord } from "./wire.js";

/** How long a stream lasts that counts as one that worked. */
const STABLE_AFTER = 1000;
/** What the dispatcher has to end the stream after a goodbye. */
const GOODBYE_TIME = 1000;
/** An outage is worth a warning now and then, not one per try. */
const COMPLAIN_EVERY = 5000;
// A hello refused for one of these will be refused everywhere.
const FATAL: ReadonlySet<number> = new Set([Status.INVALID_ARGUMENT, Status.PERMISSION_DENIED, Status.UNAUTHENTICATED]);

/** Whom the session tells. */
export interface Listener {
  connected(address: string, dispatcher: string, generation: number): void;
  disconnected(address: string, why: string, warn: boolean): void;
  starts(regions: Regions): void;
  stops(stops: readonly { readonly key: Key; readonly reason: StopReason }[]): void;
  refused(results: readonly { readonly key: Key; readonly verdict: Verdict }[]): void;
  /** The session can't be opened, and has ended. */
  rejected(why: string): void;
}

export interface Clock {
  now(): number;
  /** Call back after a time; the returned function calls it off. */
  after(milliseconds: number, callback: () => void): () => void;
}

export class Session {
  readonly #state: SessionState;
  readonly #rotation: Rotation;
  readonly #dial: Dial;
  readonly #listener: Listener;
  readonly #clock: Clock;
  #stream: Stream | undefined;
  #address = "";
  #began = 0;
  #sending = false;
  #everWelcomed = false;
  #closing = false;
  #complainFrom = 0;
  /** Addresses whose last answer was that there is no dispatcher. */
  readonly #wrong = new Set<string>();
  #callOffWatch = nothing;
  #callOffDue = nothing;
  #callOffTry = nothing;
  #gathering = false;
  #settledWaiter: (() => void) | undefined;
  #closedWaiter: (() => void) | undefined;

  constructor(state: SessionState, rotation: Rotation, dial: Dial, listener: Listener, clock: Clock) {
    this.#state = state;
    this.#rotation = rotation;
    this.#dial = dial;
    this.#listener = listener;
    this.#clock = clock;
  }

  /** Begin to connect. */
  start(): void {
    const { address, delay } = this.#rotation.following();
    this.#callOffTry = this.#clock.after(delay, () => {
      this.#open(address);
    });
  }

  finish(records: Iterable<ResultRecord>): void {
    for (const record of records) this.#state.finish(record);
    this.#gather();
  }

  release(keys: readonly Key[]): void {
    for (const key of keys) this.#state.release(key);
    this.#gather();
  }

  reportProgress(key: Key, fraction: number, message: string): void {
    this.#state.reportProgress(key, fraction, message);
    this.#gather();
  }

  drain(): void {
    this.#state.drain();
    this.#gather();
  }

  /** Wait until all results are acknowledged and all releases sent, for a bounded time. Then say goodbye and end. */
  async leave(flushTime: number): Promise<void> {
    if (!this.#state.settled) await this.#within(flushTime, (done) => (this.#settledWaiter = done));
    this.#closing = true;
    this.#callOffTry();
    if (this.#stream === undefined) return;
    if (this.#state.settled && this.#state.welcomed) {
      this.#state.leave();
      this.#pump();
      await this.#within(GOODBYE_TIME, (done) => (this.#closedWaiter = done));
    }
    this.#breakOff("the worker has left");
  }

  #within(limit: number, wait: (done: () => void) => void): Promise<void> {
    return new Promise((resolve) => {
      const callOff = this.#clock.after(limit, resolve);
      wait(() => {
        callOff();
        resolve();
      });
    });
  }

  #breakOff(why: string): void {
    this.#stream?.cancel(why);
  }

  // The stream's life

  #open(address: string): void {
    this.#address = address;
    this.#began = this.#clock.now();
    const hello = this.#state.hello(this.#began);
    const stream = this.#dial(address, {
      message: (message) => {
        if (this.#stream === stream) this.#receive(stream, message);
      },
      ended: (ending) => {
        this.#ended(ending);
      },
    });
    this.#stream = stream;
    this.#sending = true;
    stream.send(encodeFrame(hello.frame, hello.results), () => {
      this.#sent(stream);
    });
    this.#watch();
  }

  #receive(stream: Stream, message: Buffer): void {
    let received: Received;
    try {
      received = this.#state.receive(decodeFrame(message), this.#clock.now());
    } catch (error) {
      stream.cancel(String(error));
      return;
    }
    this.#passOn(received);
    this.#noteSettled();
    if (received.goAway) stream.cancel("it goes away");
    else this.#gather();
  }

  #passOn(received: Received): void {
    if (received.welcomed) {
      this.#everWelcomed = true;
      // Its silence ends the stream sooner than that before its welcome did.
      this.#callOffWatch();
      this.#watch();
      this.#listener.connected(this.#address, this.#state.dispatcher, this.#state.generation);
    }
    if (received.refused.length > 0) this.#listener.refused(received.refused);
    if (received.stops.length > 0) this.#listener.stops(received.stops);
    if (received.starts.starts.length > 0) this.#listener.starts(received.starts);
  }

  #ended(ending: Ending): void {
    const welcomed = this.#state.welcomed;
    this.#stream = undefined;
    this.#sending = false;
    this.#state.disconnected();
    this.#callOffWatch();
    this.#callOffDue();
    if (welcomed && this.#clock.now() - this.#began >= STABLE_AFTER) this.#rotation.worked();
    else if (welcomed) this.#rotation.brokeEarly();
    if (this.#closing) {
      this.#closedWaiter?.();
      return;
    }
    if (this.#isFinal(ending)) {
      this.#closing = true;
      this.#listener.rejected(`${this.#address}: ${ending.message}`);
      return;
    }
    this.#complain(ending);
    this.start();
  }

  /** Whether another try is pointless. One wrong address among others is a slip. */
  #isFinal({ status }: Ending): boolean {
    if (status === Status.UNIMPLEMENTED) this.#wrong.add(this.#address);
    else this.#wrong.delete(this.#address);
    return !this.#everWelcomed && (FATAL.has(status) || this.#wrong.size === this.#rotation.size);
  }

  #complain({ message }: Ending): void {
    const now = this.#clock.now();
    const warn = now >= this.#complainFrom;
    if (warn) this.#complainFrom = now + COMPLAIN_EVERY;
    this.#listener.disconnected(this.#address, message, warn);
  }

  /** Give the stream up once it has been silent for too long. */
  #watch(): void {
    const silentAt = this.#state.silentAt;
    if (silentAt === undefined) return;
    this.#callOffWatch = this.#clock.after(silentAt - this.#clock.now(), () => {
      if ((this.#state.silentAt ?? Infinity) > this.#clock.now()) {
        this.#watch();
        return;
      }
      this.#breakOff("it fell silent");
    });
  }

  // Sending: all that is ready, as soon as the stream takes it

  /** Let what else is ready come first, so that it goes in the same frame. */
  #gather(): void {
    if (this.#gathering || this.#sending) return;
    this.#gathering = true;
    setImmediate(() => {
      this.#gathering = false;
      this.#pump();
    });
  }

  #pump(): void {
    const stream = this.#stream;
    if (stream === undefined || this.#sending) return;
    this.#callOffDue();
    const next = this.#state.nextFrame(this.#clock.now());
    if (next === undefined) {
      this.#wakeWhenDue();
      return;
    }
    this.#sending = true;
    stream.send(encodeFrame(next.frame, next.results), () => {
      this.#sent(stream);
    });
    if (next.frame.goodbye === true) stream.finish();
    this.#noteSettled();
  }

  #sent(stream: Stream): void {
    if (this.#stream !== stream) return;
    this.#sending = false;
    this.#pump();
  }

  #wakeWhenDue(): void {
    const due = this.#state.nextDue();
    if (due === undefined) return;
    this.#callOffDue = this.#clock.after(due - this.#clock.now(), () => {
      this.#pump();
    });
  }

  #noteSettled(): void {
    if (this.#settledWaiter !== undefined && this.#state.settled) this.#settledWaiter();
  }
}

function nothing(): void {
  // There is nothing to call off.
}
