import { describe, expect, expectTypeOf, it } from "vitest";

import {
  task,
  validated,
  type InputOf,
  type OutputOf,
  type StandardSchema,
  type SubmittedOf,
} from "../src/definition.js";
import { SchemaMismatch } from "../src/errors.js";

const date: StandardSchema<string, Date> = {
  "~standard": {
    version: 1,
    vendor: "test",
    validate: (value) => {
      const read = new Date(String(value));
      if (!Number.isNaN(read.getTime())) return { value: read };
      return { issues: [{ message: "is no date", path: ["a", { key: 0 }] }] };
    },
  },
};

describe("a definition", () => {
  it("carries its types", () => {
    const greet = task<{ town: string }, string>("town.greet");
    expectTypeOf<SubmittedOf<typeof greet>>().toEqualTypeOf<{ town: string }>();
    expectTypeOf<OutputOf<typeof greet>>().toEqualTypeOf<string>();
    expect(greet).toEqual({ name: "town.greet", input: undefined, output: undefined });
  });

  it("takes its types from schemas", () => {
    const wait = task("wait.until", { input: date });
    expectTypeOf<SubmittedOf<typeof wait>>().toEqualTypeOf<string>();
    expectTypeOf<InputOf<typeof wait>>().toEqualTypeOf<Date>();
    expectTypeOf<OutputOf<typeof wait>>().toBeUnknown();
    expect(wait.input).toBe(date);
  });

  it.each(["", "-x", "a b", "x".repeat(129)])("refuses the name %j", (name) => {
    expect(() => task(name)).toThrow("type: ");
  });
});

describe("a schema", () => {
  it("converts", async () => {
    expect(await validated(date, "2026-01-02", "input")).toEqual(new Date("2026-01-02"));
  });

  it("names what it refuses", async () => {
    await expect(validated(date, "soon", "input")).rejects.toThrow(
      new SchemaMismatch([{ field: "input.a.0", description: "is no date" }]),
    );
  });
});
