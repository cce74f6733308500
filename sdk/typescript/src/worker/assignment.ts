/** An assignment, read from the frame that it came in. */

import { Cursor, keyAt, type Key } from "../session/wire.js";

/** What the dispatcher says of an attempt. Times are milliseconds. */
export interface Assignment {
  readonly key: Key;
  readonly taskId: string;
  readonly attempt: number;
  readonly type: string;
  readonly payload: string;
  readonly queue: string;
  readonly timeout: number | undefined;
  readonly failures: number;
  readonly crashes: number;
  readonly traceparent: string;
  readonly createdAt: number;
}

/** Read the assignment in this region. */
export function readAssignment(bytes: Buffer, start: number, end: number): Assignment {
  const cursor = new Cursor(bytes, start, end);
  const key = keyAt(bytes, start, end);
  let taskId = "";
  let attempt = 0;
  let type = "";
  let payload = "null";
  let queue = "";
  let timeout: number | undefined;
  let failures = 0;
  let crashes = 0;
  let traceparent = "";
  let createdAt = 0;
  while (cursor.more) {
    const tag = cursor.varint();
    switch (tag) {
      case 0x0a:
        taskId = text(cursor);
        break;
      case 0x10:
        attempt = cursor.varint();
        break;
      case 0x1a:
        type = text(cursor);
        break;
      case 0x22:
        payload = text(cursor) || "null";
        break;
      case 0x2a:
        queue = text(cursor);
        break;
      case 0x32:
        timeout = time(cursor);
        break;
      case 0x38:
        failures = cursor.varint();
        break;
      case 0x40:
        crashes = cursor.varint();
        break;
      case 0x4a:
        traceparent = text(cursor);
        break;
      case 0x52:
        createdAt = time(cursor);
        break;
      default:
        cursor.skip(tag);
    }
  }
  return { key, taskId, attempt, type, payload, queue, timeout, failures, crashes, traceparent, createdAt };
}

function text(cursor: Cursor): string {
  const end = cursor.extent();
  const found = cursor.bytes.toString("utf8", cursor.at, end);
  cursor.at = end;
  return found;
}

/** A Duration or a Timestamp. */
function time(cursor: Cursor): number {
  const inner = new Cursor(cursor.bytes, cursor.at, cursor.extent());
  inner.at = cursor.at;
  let milliseconds = 0;
  while (inner.more) {
    const tag = inner.varint();
    if (tag === 0x08) milliseconds += inner.varint() * 1000;
    else if (tag === 0x10) milliseconds += inner.varint() / 1e6;
    else inner.skip(tag);
  }
  cursor.at = inner.end;
  return milliseconds;
}
