/** Values that no line of JSON can carry. */

import { type Fields, Unsupported } from "./notation.js";

const MADE: Readonly<Record<string, (size: number) => unknown>> = {
  text: (size) => "x".repeat(size),
  nested: (size) => Array.from({ length: size - 1 }).reduce<unknown[]>((inner) => [inner], []),
  digits: (size) => BigInt("9".repeat(size)),
  nan: () => Number.NaN,
  infinity: () => Number.POSITIVE_INFINITY,
  surrogate: () => "\ud800",
  "not-json": () => () => undefined,
};

/** The value that `what` names. */
export function made({ what, size }: Fields): unknown {
  const make = MADE[String(what)];
  if (!make) throw new Unsupported(`no value ${String(what)} here`);
  return make(Number(size ?? 0));
}
