/** Moments and lengths of time, between JavaScript and the wire. */
import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, type Timestamp, TimestampSchema } from "@bufbuild/protobuf/wkt";
import { InvalidArgument } from "../errors.js";

const LONGEST_SECONDS = 315_576_000_000; // what a Duration may hold

/** The message for a length of time in milliseconds; throws `InvalidArgument` naming `field` if it is none. */
export function duration(field: string, length: number): Duration {
  if (typeof length !== "number" || !Number.isFinite(length) || Math.abs(length) > LONGEST_SECONDS * 1000) {
    throw InvalidArgument.of(field, `must be a number of milliseconds, got ${String(length)}`);
  }
  const seconds = Math.trunc(length / 1000);
  const nanos = Math.round((length - seconds * 1000) * 1e6);
  return Math.abs(nanos) === 1e9
    ? create(DurationSchema, { seconds: BigInt(seconds + Math.sign(nanos)), nanos: 0 })
    : create(DurationSchema, { seconds: BigInt(seconds), nanos });
}

/** A length of time in milliseconds. */
export function milliseconds({ seconds, nanos }: Duration): number {
  return Number(seconds) * 1000 + nanos / 1e6;
}

/** The message for a moment; throws `InvalidArgument` naming `field` if it is none. */
export function timestamp(field: string, moment: Date): Timestamp {
  const time = moment instanceof Date ? moment.getTime() : Number.NaN;
  if (Number.isNaN(time)) throw InvalidArgument.of(field, "must be a valid Date");
  const seconds = Math.floor(time / 1000);
  return create(TimestampSchema, { seconds: BigInt(seconds), nanos: (time - seconds * 1000) * 1e6 });
}

const LAST = 8_640_000_000_000_000;

/** The moment, or the nearest that a `Date` can hold: one that cannot be shown as it is does not hide the rest. */
export function date({ seconds, nanos }: Timestamp): Date {
  const time = Number(seconds) * 1000 + Math.floor(nanos / 1e6);
  return new Date(Math.min(Math.max(time, -LAST), LAST));
}
