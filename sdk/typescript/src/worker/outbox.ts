/** Gathers what goes to the session: all results of one turn of the event loop travel in one message. */

import type { ToSession } from "../session/messages.js";
import { varintLength, writeVarint, type Key } from "../session/wire.js";
import { encodeFailure, type Failure } from "./outcome.js";

type Post = (message: ToSession, transfer?: ArrayBuffer[]) => void;

const RESULT = 0x12;
const VALUE = 0x1a;
const ERROR = 0x22;
const CANCELLED = 0x28;
const RUN_TIME = 0x32;
const SECONDS = 0x08;
const NANOS = 0x10;
/** A run time with its tag and length, at most. */
const MOST_RUN_TIME = 14;
/** Between a result and the message that it travels in there may be this much of results at most. */
const FULL = 1024 * 1024;

export class Outbox {
  readonly #post: Post;
  #bytes = Buffer.allocUnsafe(16 * 1024);
  #end = 0;
  #ends: number[] = [];
  #scheduled = false;

  constructor(post: Post) {
    this.#post = post;
  }

  /** A handler returned: `text` is JSON. */
  returned(key: Key, text: string, milliseconds: number): void {
    const length = Buffer.byteLength(text);
    const at = this.#begin(key, 1 + varintLength(length) + length, milliseconds);
    const bytes = this.#bytes;
    bytes[at] = VALUE;
    const from = writeVarint(bytes, at + 1, length);
    bytes.write(text, from, length, "utf8");
    this.#finish(from + length, milliseconds);
  }

  failed(key: Key, failure: Failure, milliseconds: number): void {
    const error = encodeFailure(failure);
    const at = this.#begin(key, 1 + varintLength(error.length) + error.length, milliseconds);
    this.#bytes[at] = ERROR;
    const from = writeVarint(this.#bytes, at + 1, error.length);
    this.#bytes.set(error, from);
    this.#finish(from + error.length, milliseconds);
  }

  cancelled(key: Key, milliseconds: number): void {
    const at = this.#begin(key, 2, milliseconds);
    this.#bytes[at] = CANCELLED;
    this.#bytes[at + 1] = 1;
    this.#finish(at + 2, milliseconds);
  }

  /** Hand attempts back, after all results so far. */
  released(keys: readonly Key[]): void {
    this.flush();
    if (keys.length > 0) this.#post({ do: "release", keys });
  }

  /** Send what has been gathered. */
  flush(): void {
    this.#scheduled = false;
    if (this.#ends.length === 0) return;
    const bytes = new Uint8Array(this.#end);
    bytes.set(this.#bytes.subarray(0, this.#end));
    const ends = this.#ends;
    this.#ends = [];
    this.#end = 0;
    this.#post({ do: "results", bytes, ends }, [bytes.buffer]);
  }

  /** Write what stands before the outcome; where that goes is returned. */
  #begin(key: Key, outcome: number, milliseconds: number): number {
    const length = key.length + outcome + 2 + runTimeLength(milliseconds);
    this.#reserve(6 + length);
    this.#bytes[this.#end] = RESULT;
    const at = writeVarint(this.#bytes, this.#end + 1, length);
    return at + this.#bytes.write(key, at, "latin1");
  }

  #finish(at: number, milliseconds: number): void {
    const bytes = this.#bytes;
    const seconds = Math.floor(milliseconds / 1000);
    bytes[at] = RUN_TIME;
    bytes[at + 1] = runTimeLength(milliseconds);
    bytes[at + 2] = SECONDS;
    at = writeVarint(bytes, at + 3, seconds);
    bytes[at] = NANOS;
    this.#end = writeVarint(bytes, at + 1, nanosOf(milliseconds));
    this.#ends.push(this.#end);
    if (this.#end > FULL) this.flush();
    else this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.flush();
    });
  }

  #reserve(size: number): void {
    const wanted = this.#end + size + MOST_RUN_TIME;
    if (wanted <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(wanted, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#end);
    this.#bytes = larger;
  }
}

function runTimeLength(milliseconds: number): number {
  return 2 + varintLength(Math.floor(milliseconds / 1000)) + varintLength(nanosOf(milliseconds));
}

function nanosOf(milliseconds: number): number {
  return Math.floor((milliseconds % 1000) * 1e6);
}
