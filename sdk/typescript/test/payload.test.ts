import { describe, expect, it } from "vitest";

import { decode, encode, parse, stringify, tooDeep } from "../src/payload.js";

describe("reading", () => {
  it.each([
    ["9007199254740991", 9007199254740991],
    ["9007199254740993", 9007199254740993n],
    ['{"a":[18446744073709551617,-18446744073709551617]}', { a: [18446744073709551617n, -18446744073709551617n] }],
    ['"9007199254740993"', "9007199254740993"],
    ['{"9007199254740993":1}', { "9007199254740993": 1 }],
    ['"a \\" 9007199254740993"', 'a " 9007199254740993'],
    ["9007199254740993.5", 9007199254740993.5],
    ["0.12345678901234567890", 0.12345678901234568],
    ["1e17", 1e17],
  ])("%s keeps what it says", (text, value) => {
    expect(parse(text)).toStrictEqual(value);
  });

  it("takes no bytes for null", () => {
    expect(decode(new Uint8Array())).toBeNull();
  });

  it.each(["", "nul", "[1,]", "01234567890123456789", "NaN"])("refuses %j", (text) => {
    expect(() => parse(text)).toThrow(SyntaxError);
  });
});

describe("writing", () => {
  it.each([
    [undefined, "null"],
    [null, "null"],
    [18446744073709551617n, "18446744073709551617"],
    [{ a: [1n, null], b: "null" }, '{"a":[1,null],"b":"null"}'],
    ["\u0000😀 \\ud800", '"\\u0000😀 \\\\ud800"'],
    [[undefined], "[null]"],
    [{ gone: undefined }, "{}"],
  ])("%# becomes what JSON has for it", (value, text) => {
    expect(stringify(value)).toBe(text);
    expect(Buffer.from(encode(value)).toString()).toBe(text);
  });

  it.each([
    [{ amount: NaN }, '"amount" is NaN'],
    [[-Infinity], "is -Infinity"],
    [NaN, "the value is NaN"],
    ["\ud800", "lone surrogate"],
    [{ ["\udc00"]: 1 }, "lone surrogate"],
    [10n ** 309n, "308 digits"],
    [() => 1, "function"],
    [Symbol("x"), "symbol"],
  ])("%# is refused", (value, message) => {
    expect(() => stringify(value)).toThrow(message);
  });

  it("refuses what holds itself", () => {
    const circle: unknown[] = [];
    circle.push(circle);
    expect(() => stringify(circle)).toThrow(TypeError);
  });

  it("gives back every integer that it read", () => {
    const text = '{"id":18446744073709551617,"small":7,"list":[9007199254740993,"9007199254740993"]}';
    expect(stringify(parse(text))).toBe(text);
  });
});

describe("depth", () => {
  const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);

  it("allows 64 levels", () => {
    expect(tooDeep(nested(64))).toBe(false);
    expect(tooDeep(nested(65))).toBe(true);
  });

  it("counts levels, not brackets", () => {
    expect(tooDeep(JSON.stringify(Array.from({ length: 100 }, () => [{}])))).toBe(false);
    expect(tooDeep(JSON.stringify(["[".repeat(100), '"{'.repeat(100)]))).toBe(false);
  });
});
