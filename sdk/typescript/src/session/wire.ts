/**
 * The hot frames' own encoding: assignments and acks in, results out. Everything else in a frame is rare, and left to
 * the generated code.
 *
 * An attempt's key is its `(task_id, attempt)` as the wire has it: the first two fields of each message that is about an
 * attempt. So a key is read with one slice and written with one copy. Keys are latin1 strings, a character for each byte.
 */

import { create, fromBinary, toBinary, type MessageInitShape } from "@bufbuild/protobuf";

import {
  AttemptRefSchema,
  DispatcherFrameSchema,
  Verdict,
  WorkerFrameSchema,
  type AttemptRef,
  type DispatcherFrame,
  type WorkerFrame,
} from "../gen/worker_service_pb.js";

/** `(task_id, attempt)`, encoded: the fencing token. */
export type Key = string;

/** Regions of a buffer. */
export interface Regions {
  readonly bytes: Buffer;
  readonly starts: number[];
  readonly ends: number[];
}

/** A dispatcher's frame: assignments as they came, acks as columns, and the rest. */
export interface Incoming {
  readonly assignments: Regions & { readonly keys: Key[] };
  readonly acks: { readonly keys: Key[]; readonly verdicts: Verdict[] };
  readonly rest: DispatcherFrame | undefined;
}

/** An encoded TaskResult within a buffer, from the tag that it has in a WorkerFrame. */
export interface ResultRecord {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

const ASSIGNMENTS = 0x12;
const ACKS = 0x1a;
const TASK_ID = 0x0a;
const ATTEMPT = 0x10;
const VERDICT = 0x18;
const VERDICTS = [Verdict.UNSPECIFIED, Verdict.ACCEPTED, Verdict.DUPLICATE, Verdict.STALE, Verdict.INVALID] as const;
/** What stands before each message of a gRPC stream: a flag and the length. */
export const PREFIX_BYTES = 5;

/** Reads a message field by field. */
export class Cursor {
  constructor(
    readonly bytes: Buffer,
    public at: number,
    readonly end: number,
  ) {}

  get more(): boolean {
    return this.at < this.end;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 10 && this.at < this.end; count++) {
      const byte = this.bytes[this.at++] ?? 0;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new Error("the frame ends within a number");
  }

  /** The end of the length-delimited field that begins here. */
  extent(): number {
    const end = this.varint() + this.at;
    if (end > this.end) throw new Error("a field is longer than its frame");
    return end;
  }

  /** Pass over the field with this tag. */
  skip(tag: number): void {
    const kind = tag & 7;
    if (kind === 0) this.varint();
    else if (kind === 1) this.at += 8;
    else if (kind === 2) this.at = this.extent();
    else if (kind === 5) this.at += 4;
    else throw new Error(`a field has the unknown wire type ${kind}`);
    if (this.at > this.end) throw new Error("a field is longer than its frame");
  }
}

/** Read a frame. Throws for what is none. */
export function decodeFrame(bytes: Buffer): Incoming {
  const assignments = { bytes, keys: [] as Key[], starts: [] as number[], ends: [] as number[] };
  const acks = { keys: [] as Key[], verdicts: [] as Verdict[] };
  const rest: Buffer[] = [];
  const cursor = new Cursor(bytes, 0, bytes.length);
  while (cursor.more) {
    const begin = cursor.at;
    const tag = cursor.varint();
    if (tag === ASSIGNMENTS) {
      const end = cursor.extent();
      assignments.keys.push(keyAt(bytes, cursor.at, end));
      assignments.starts.push(cursor.at);
      assignments.ends.push(end);
      cursor.at = end;
    } else if (tag === ACKS) {
      const end = cursor.extent();
      const key = keyAt(bytes, cursor.at, end);
      acks.keys.push(key);
      acks.verdicts.push(verdictAt(bytes, cursor.at, end, key));
      cursor.at = end;
    } else {
      cursor.skip(tag);
      rest.push(bytes.subarray(begin, cursor.at));
    }
  }
  return {
    assignments,
    acks,
    rest: rest.length > 0 ? fromBinary(DispatcherFrameSchema, Buffer.concat(rest)) : undefined,
  };
}

/** The key of the message in this region: nearly always its first bytes. */
export function keyAt(bytes: Buffer, start: number, end: number): Key {
  const length = bytes[start + 1] ?? 0;
  const second = start + 2 + length;
  const fits = bytes[start] === TASK_ID && length < 0x80 && second + 1 < end && bytes[second] === ATTEMPT;
  if (fits) {
    let last = second + 1;
    while ((bytes[last] ?? 0) >= 0x80) last++;
    if (last < end) return bytes.toString("latin1", start, last + 1);
  }
  const { taskId, attempt } = fromBinary(AttemptRefSchema, bytes.subarray(start, end), { readUnknownFields: false });
  return keyOf(taskId, attempt);
}

function verdictAt(bytes: Buffer, start: number, end: number, key: Key): Verdict {
  const behind = start + key.length;
  if (end === behind + 2 && bytes[behind] === VERDICT) return verdictOf(bytes[behind + 1]);
  let verdict: Verdict = Verdict.UNSPECIFIED;
  const cursor = new Cursor(bytes, start, end);
  while (cursor.more) {
    const tag = cursor.varint();
    if (tag === VERDICT) verdict = verdictOf(cursor.varint());
    else cursor.skip(tag);
  }
  return verdict;
}

/** A verdict that is not known ends its result as any other. */
function verdictOf(number = 0): Verdict {
  return VERDICTS[number] ?? Verdict.UNSPECIFIED;
}

/** The key of an attempt that is known by its parts. */
export function keyOf(taskId: string, attempt: number): Key {
  const id = Buffer.from(taskId, "utf8");
  return Buffer.concat([
    Buffer.of(TASK_ID, ...varintBytes(id.length)),
    id,
    Buffer.of(ATTEMPT, ...varintBytes(attempt)),
  ]).toString("latin1");
}

/** The parts of a key. */
export function refOf(key: Key): AttemptRef {
  return fromBinary(AttemptRefSchema, Buffer.from(key, "latin1"));
}

function varintBytes(value: number): number[] {
  const bytes = [];
  for (; value >= 0x80; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  bytes.push(value);
  return bytes;
}

/** Write a varint of at most 32 bits; the place behind it is returned. */
export function writeVarint(bytes: Buffer, at: number, value: number): number {
  for (; value >= 0x80; value >>>= 7) bytes[at++] = (value & 0x7f) | 0x80;
  bytes[at++] = value;
  return at;
}

/** How many bytes `writeVarint` takes. */
export function varintLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x200000 ? 3 : value < 0x10000000 ? 4 : 5;
}

/** A worker's frame without its results. */
export type FrameInit = Exclude<MessageInitShape<typeof WorkerFrameSchema>, WorkerFrame>;

/** A worker's frame as a message of a gRPC stream. */
export function encodeFrame(frame: FrameInit, results: readonly ResultRecord[]): Buffer {
  const rest = toBinary(WorkerFrameSchema, create(WorkerFrameSchema, frame));
  let length = rest.length;
  for (const { start, end } of results) length += end - start;
  const message = Buffer.allocUnsafe(PREFIX_BYTES + length);
  message[0] = 0;
  message.writeUInt32BE(length, 1);
  message.set(rest, PREFIX_BYTES);
  let at = PREFIX_BYTES + rest.length;
  for (const { bytes, start, end } of results) at += bytes.copy(message, at, start, end);
  return message;
}
