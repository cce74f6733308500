/**
 * Values as UTF-8 JSON and back: the same rules for payloads and results, in clients and handlers.
 *
 * Integers keep every digit. One beyond 2^53, which a number would round, is read as a bigint, and a bigint is written as
 * its digits. What JSON has no word for is refused, never replaced: NaN, infinities, lone surrogates.
 */

import { randomUUID } from "node:crypto";

/** Levels of arrays and objects within each other that the server takes. */
export const MAX_DEPTH = 64;

const LARGE_INTEGER = /[0-9]{16}/;
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/g;
const INTEGER = /^-?[0-9]+$/;
const SURROGATE = /\p{Surrogate}/u;
/** Large integers travel through JavaScript's own reader and writer as text with this in front, which nobody can know. */
const MARK = randomUUID();
const MARKED = new RegExp(`"${MARK}(-?[0-9]+)"`, "g");

/** JSON of the value, undefined being null; throws TypeError saying what of it JSON can't express. */
export function stringify(value: unknown): string {
  if (value === undefined || value === null) return "null";
  let text;
  try {
    // JavaScript has no error for a function or a symbol, and the types know nothing of it.
    text = JSON.stringify(value) as string | undefined;
  } catch (error) {
    if (!holdsBigint(error)) throw error;
    return stringifyCarefully(value);
  }
  if (text === undefined) throw new TypeError(`a ${typeof value} is not JSON`);
  // NaN has become null, and a lone surrogate an escape. Most documents have neither word.
  return text.includes("null") || text.includes("\\ud") ? stringifyCarefully(value) : text;
}

/** UTF-8 JSON of the value, as `stringify`. */
export function encode(value: unknown): Uint8Array {
  return Buffer.from(stringify(value), "utf8");
}

/** The value of a JSON document; throws SyntaxError for what is none. */
export function parse(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return LARGE_INTEGER.test(text) ? parseExactly(text, value) : value;
}

/** The value of a UTF-8 JSON document; no bytes mean null. */
export function decode(document: Uint8Array): unknown {
  if (document.length === 0) return null;
  return parse(Buffer.from(document.buffer, document.byteOffset, document.length).toString("utf8"));
}

/** Whether a JSON document nests deeper than the server takes. */
export function tooDeep(text: string): boolean {
  if (text.length <= MAX_DEPTH) return false;
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (quoted) {
      if (unit === 0x5c) at++;
      else if (unit === 0x22) quoted = false;
    } else if (unit === 0x22) quoted = true;
    else if (unit === 0x5b || unit === 0x7b) {
      if (++depth > MAX_DEPTH) return true;
    } else if (unit === 0x5d || unit === 0x7d) depth--;
  }
  return false;
}

function holdsBigint(error: unknown): boolean {
  return error instanceof TypeError && error.message.includes("BigInt");
}

/** As `stringify`, with a look at every part. */
function stringifyCarefully(value: unknown): string {
  const text = JSON.stringify(value, (key: string, part: unknown) => {
    if (SURROGATE.test(key)) throw new TypeError("a key has a lone surrogate, which is no text");
    return typeof part === "bigint" ? MARK + digits(part) : checked(key, part);
  });
  return text.replaceAll(MARKED, "$1");
}

function digits(integer: bigint): string {
  // Most languages can't read what not even a float has the size for, and the server refuses it.
  if (!Number.isFinite(Number(integer))) throw new TypeError("an integer has more than 308 digits");
  return integer.toString();
}

function checked(key: string, part: unknown): unknown {
  if (typeof part === "number" && !Number.isFinite(part)) {
    throw new TypeError(`${named(key)} is ${String(part)}, which JSON can't express`);
  }
  if (typeof part === "string" && SURROGATE.test(part)) {
    throw new TypeError(`${named(key)} has a lone surrogate, which is no text`);
  }
  return part;
}

function named(key: string): string {
  return key === "" ? "the value" : JSON.stringify(key);
}

function parseExactly(text: string, rounded: unknown): unknown {
  const marked = text.replace(STRING_OR_NUMBER, (token) => (isLarge(token) ? `"${MARK}${token}"` : token));
  if (marked.length === text.length) return rounded;
  return JSON.parse(marked, (_key, part: unknown) =>
    typeof part === "string" && part.startsWith(MARK) ? BigInt(part.slice(MARK.length)) : part,
  );
}

function isLarge(token: string): boolean {
  return INTEGER.test(token) && !Number.isSafeInteger(Number(token));
}
