/**
 * The worker's side of a session as a pure state machine: no I/O, no threads, no clock of its own.
 *
 * One lives as long as its worker and outlasts every stream. It knows which attempts the worker holds, decides what of a
 * received frame is news, and composes the frames to send. The rules are those of docs/worker-protocol.md. Times are
 * milliseconds of any monotonic clock, passed in by the caller.
 */

import { create } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";

import {
  HeartbeatSchema,
  HelloSchema,
  StopReason,
  TaskProgressSchema,
  Verdict,
  type Heartbeat,
  type Hello,
  type Stop,
  type TaskProgress,
  type Welcome,
} from "../gen/worker_service_pb.js";
import {
  keyAt,
  keyOf,
  refOf,
  type FrameInit,
  type Incoming,
  type Key,
  type Regions,
  type ResultRecord,
} from "./wire.js";

const DEFAULT_HEARTBEAT_INTERVAL = 3000;
const DEFAULT_SESSION_TIMEOUT = 10_000;
/** What a dispatcher has to answer the hello. */
export const WELCOME_TIMEOUT = 5000;
/** Between two frames with progress; what is reported meanwhile is coalesced. */
export const PROGRESS_INTERVAL = 500;
export const MAX_RESULTS_PER_FRAME = 1000;
const RESULT_BYTES_PER_FRAME = 1536 * 1024;
const MAX_RELEASED_PER_FRAME = 1000;
const MAX_PROGRESS_PER_FRAME = 200;
/** How many acknowledged attempts are remembered at least, so that a late resend does not run one again. */
export const REMEMBERED = 10_000;

/** The dispatcher sent what the protocol does not allow; the stream is of no use. */
export class ProtocolError extends Error {}

/** What a frame asks the worker to do, and what there is to tell of it. */
export interface Received {
  /** Attempts to start, in the frame's buffer. */
  readonly starts: Regions;
  readonly stops: { readonly key: Key; readonly reason: StopReason }[];
  /** Results that were not accepted. */
  readonly refused: { readonly key: Key; readonly verdict: Verdict }[];
  readonly welcomed: boolean;
  readonly goAway: boolean;
}

/** What goes into one frame. */
export interface Outgoing {
  readonly frame: FrameInit;
  readonly results: readonly ResultRecord[];
}

export class SessionState {
  readonly #identity: Hello;
  readonly #running = new Set<Key>();
  readonly #unacked = new Map<Key, ResultRecord>();
  // Acknowledged attempts in two generations, so that forgetting the older one costs nothing.
  #settled = new Set<Key>();
  #settledBefore = new Set<Key>();
  #unsent: Key[] = [];
  #unsentFrom = 0;
  readonly #released = new Set<Key>();
  readonly #progress = new Map<Key, TaskProgress>();
  #progressFrom = 0;
  #drainUnsent = false;
  #leaving = false;
  #heartbeatInterval = DEFAULT_HEARTBEAT_INTERVAL;
  #sessionTimeout = DEFAULT_SESSION_TIMEOUT;
  #sequence = 0n;
  #heard = 0n;
  #heartbeatAt = 0;
  #silentAt: number | undefined;
  welcomed = false;
  draining = false;
  dispatcher = "";
  generation = 0;

  /** `identity` is the hello without what changes during the worker's life. */
  constructor(identity: Hello) {
    this.#identity = identity;
  }

  get running(): number {
    return this.#running.size;
  }

  get unacknowledged(): number {
    return this.#unacked.size;
  }

  /** Nothing runs, all results are acknowledged, all releases are sent. */
  get settled(): boolean {
    return this.#running.size === 0 && this.#unacked.size === 0 && this.#released.size === 0;
  }

  /** Attempts the worker has: running, or finished or released without the dispatcher knowing. */
  held(): Key[] {
    return [...new Set([...this.#running, ...this.#unacked.keys(), ...this.#released])];
  }

  // The stream's life

  /** Begin a stream: the first frame, listing every attempt held. */
  hello(now: number): Outgoing {
    this.welcomed = false;
    this.#silentAt = now + WELCOME_TIMEOUT;
    this.#drainUnsent = false;
    const hello = create(HelloSchema, {
      ...this.#identity,
      draining: this.draining,
      running: this.held().map(refOf),
    });
    return { frame: { hello }, results: [] };
  }

  /** The stream is gone; all that is held stays. */
  disconnected(): void {
    this.welcomed = false;
    this.#silentAt = undefined;
    this.#unsent = [];
    this.#unsentFrom = 0;
  }

  /** When the stream is given up if nothing comes; undefined without a stream. */
  get silentAt(): number | undefined {
    return this.#silentAt;
  }

  // What the dispatcher sends

  /** Take a frame in. Throws ProtocolError when the stream's first frame has no welcome. */
  receive({ assignments, acks, rest }: Incoming, now: number): Received {
    if (rest?.welcome !== undefined) this.#welcome(rest.welcome, now);
    else if (!this.welcomed) throw new ProtocolError("the dispatcher's first frame has no welcome");
    this.#silentAt = now + this.#sessionTimeout;
    if (rest?.heartbeat !== undefined && rest.heartbeat.sequence > this.#heard) this.#heard = rest.heartbeat.sequence;
    return {
      refused: this.#acknowledge(acks),
      stops: rest === undefined ? [] : this.#stop(rest.stops),
      starts: this.#assign(assignments),
      welcomed: rest?.welcome !== undefined,
      goAway: rest?.goAway ?? false,
    };
  }

  #welcome(welcome: Welcome, now: number): void {
    this.welcomed = true;
    this.dispatcher = welcome.dispatcher;
    this.generation = welcome.generation;
    this.#heartbeatInterval = milliseconds(welcome.heartbeatInterval, DEFAULT_HEARTBEAT_INTERVAL);
    this.#sessionTimeout = milliseconds(welcome.sessionTimeout, DEFAULT_SESSION_TIMEOUT);
    this.#heartbeatAt = now + this.#heartbeatInterval;
    // What was sent before is not answered here.
    this.#heard = this.#sequence;
    // The old stream's fate is unknown, so every result that was never acknowledged goes again.
    this.#unsent = [...this.#unacked.keys()];
    this.#unsentFrom = 0;
  }

  #acknowledge({ keys, verdicts }: Incoming["acks"]): Received["refused"] {
    const refused: Received["refused"] = [];
    keys.forEach((key, index) => {
      // Any verdict ends the result: the dispatcher has decided, sending again changes nothing.
      if (!this.#unacked.delete(key)) return;
      this.#settled.add(key);
      if (this.#settled.size >= REMEMBERED) {
        this.#settledBefore = this.#settled;
        this.#settled = new Set();
      }
      const verdict: Verdict = verdicts[index] ?? Verdict.UNSPECIFIED;
      if (verdict !== Verdict.ACCEPTED) refused.push({ key, verdict });
    });
    return refused;
  }

  #stop(asked: readonly Stop[]): Received["stops"] {
    const stops: Received["stops"] = [];
    for (const { taskId, attempt, reason } of asked) {
      const key = keyOf(taskId, attempt);
      // A finished attempt's result is judged by its ack, whatever a stop that crossed it says.
      if (!this.#running.has(key)) continue;
      if (reason === StopReason.LOST) this.#forget(key);
      stops.push({ key, reason });
    }
    return stops;
  }

  #assign({ bytes, keys, starts, ends }: Incoming["assignments"]): Regions {
    const news: Regions = { bytes, starts: [], ends: [] };
    keys.forEach((key, index) => {
      if (this.#isKnown(key)) return;
      if (this.draining) {
        // It crossed our drain, or we released it and the frame was lost.
        this.#released.add(key);
        return;
      }
      this.#running.add(key);
      news.starts.push(starts[index] ?? 0);
      news.ends.push(ends[index] ?? 0);
    });
    return news;
  }

  #isKnown(key: Key): boolean {
    return this.#running.has(key) || this.#unacked.has(key) || this.#settled.has(key) || this.#settledBefore.has(key);
  }

  // What the worker does

  /** Keep a result until its ack. False: the attempt isn't held any more and nothing is sent. */
  finish(record: ResultRecord): boolean {
    const key = keyOfRecord(record);
    if (!this.#running.delete(key)) return false;
    if (this.#progress.size > 0) this.#progress.delete(key);
    this.#unacked.set(key, record);
    if (this.welcomed) this.#unsent.push(key);
    return true;
  }

  /** Hand a running attempt back unfinished. False: it isn't held any more. */
  release(key: Key): boolean {
    if (!this.#running.has(key)) return false;
    this.#forget(key);
    this.#released.add(key);
    return true;
  }

  /** Replace what is to be sent of a running attempt's progress. */
  reportProgress(key: Key, fraction: number, message: string): void {
    if (!this.#running.has(key)) return;
    const { taskId, attempt } = refOf(key);
    this.#progress.set(key, create(TaskProgressSchema, { taskId, attempt, progress: { fraction, message } }));
  }

  /** Take no more assignments; those that still come are handed back. */
  drain(): void {
    if (this.draining) return;
    this.draining = true;
    this.#drainUnsent = true;
  }

  /** End the session with the next frames; only once it is settled. */
  leave(): void {
    this.#leaving = true;
  }

  #forget(key: Key): void {
    this.#running.delete(key);
    this.#progress.delete(key);
  }

  // What to send

  /** Everything that is ready, up to a frame's limits; undefined if there is nothing to send. */
  nextFrame(now: number): Outgoing | undefined {
    if (!this.welcomed) return undefined;
    const results = this.#takeResults();
    const frame: FrameInit = {};
    if (this.#released.size > 0) frame.released = take(this.#released, MAX_RELEASED_PER_FRAME).map(refOf);
    if (this.#progress.size > 0 && now >= this.#progressFrom) frame.progress = this.#takeProgress(now);
    if (now >= this.#heartbeatAt) frame.heartbeat = this.#beat(now);
    if (this.#drainUnsent) {
      this.#drainUnsent = false;
      frame.drain = true;
    }
    if (results.length > 0 || Object.keys(frame).length > 0) return { frame, results };
    // Alone: the dispatcher ends the session on it and looks no further.
    return this.#leaving ? { frame: { goodbye: true }, results } : undefined;
  }

  /** When `nextFrame` has something to say by the clock alone; undefined without a welcome. */
  nextDue(): number | undefined {
    if (!this.welcomed) return undefined;
    return this.#progress.size > 0 ? Math.min(this.#heartbeatAt, this.#progressFrom) : this.#heartbeatAt;
  }

  #takeResults(): ResultRecord[] {
    const batch: ResultRecord[] = [];
    let room = RESULT_BYTES_PER_FRAME;
    while (this.#unsentFrom < this.#unsent.length && batch.length < MAX_RESULTS_PER_FRAME) {
      const record = this.#unacked.get(this.#unsent[this.#unsentFrom] ?? "");
      if (record !== undefined) {
        room -= record.end - record.start;
        if (room < 0 && batch.length > 0) break;
        batch.push(record);
      }
      this.#unsentFrom++;
    }
    if (this.#unsentFrom === this.#unsent.length) {
      this.#unsent = [];
      this.#unsentFrom = 0;
    }
    return batch;
  }

  #takeProgress(now: number): TaskProgress[] {
    this.#progressFrom = now + PROGRESS_INTERVAL;
    const keys = [...this.#progress.keys()].slice(0, MAX_PROGRESS_PER_FRAME);
    return keys.flatMap((key) => {
      const progress = this.#progress.get(key);
      this.#progress.delete(key);
      return progress ?? [];
    });
  }

  #beat(now: number): Heartbeat {
    this.#sequence++;
    this.#heartbeatAt = now + this.#heartbeatInterval;
    return create(HeartbeatSchema, { sequence: this.#sequence, heard: this.#heard });
  }
}

function keyOfRecord({ bytes, start, end }: ResultRecord): Key {
  let at = start + 1;
  while ((bytes[at] ?? 0) >= 0x80) at++;
  return keyAt(bytes, at + 1, end);
}

function take(keys: Set<Key>, most: number): Key[] {
  const taken = [...keys].slice(0, most);
  taken.forEach((key) => keys.delete(key));
  return taken;
}

function milliseconds(duration: Duration | undefined, otherwise: number): number {
  if (duration === undefined) return otherwise;
  const value = Number(duration.seconds) * 1000 + duration.nanos / 1e6;
  return value > 0 ? value : otherwise;
}
