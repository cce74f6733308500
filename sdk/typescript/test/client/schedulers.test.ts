import { describe, expect, it } from "vitest";

import type { Clock } from "../../src/client/clock.js";
import { pause } from "../../src/client/calls.js";
import { clientSettings } from "../../src/client/options.js";
import { Schedulers } from "../../src/client/schedulers.js";
import { Unavailable } from "../../src/index.js";

class StillClock implements Clock {
  time = 0;
  now(): number {
    return this.time;
  }
  random(): number {
    return 0;
  }
  async sleep(milliseconds: number): Promise<void> {
    this.time += milliseconds;
    await Promise.resolve();
  }
}

describe("schedulers", () => {
  it("are all that a name stands for, in turn", async () => {
    const asked: string[] = [];
    const schedulers = new Schedulers(["lb:7070", "[::1]:7071"], undefined, new StillClock(), (host) => {
      asked.push(host);
      return Promise.resolve(host === "lb" ? ["10.0.0.1", "10.0.0.2"] : [host]);
    });
    const addresses = [];
    for (let n = 0; n < 4; n++) addresses.push((await schedulers.next()).address);
    expect(asked).toEqual(["lb", "::1"]);
    expect(addresses).toEqual(["lb:7070 (10.0.0.1)", "lb:7070 (10.0.0.2)", "[::1]:7071", "lb:7070 (10.0.0.1)"]);
    schedulers.close();
  });

  it("rest when they are away, longer each time, and come back", async () => {
    const clock = new StillClock();
    const schedulers = new Schedulers(["a:1", "b:1"], undefined, clock, (host) => Promise.resolve([host]));
    const a = await schedulers.next();
    schedulers.avoid(a);
    for (let n = 0; n < 3; n++) expect((await schedulers.next()).address).toBe("b:1");
    clock.time = 80;
    const next = [await schedulers.next(), await schedulers.next()];
    expect(next).toContain(a);
    schedulers.avoid(a);
    clock.time += 81;
    expect([await schedulers.next(), await schedulers.next()]).not.toContain(a);
    schedulers.trust(a);
    expect([await schedulers.next(), await schedulers.next()]).toContain(a);
    schedulers.close();
  });

  it("are looked up again when one was away, at most once a second", async () => {
    const clock = new StillClock();
    let known = ["10.0.0.1"];
    let lookups = 0;
    const schedulers = new Schedulers(["lb:1"], undefined, clock, () => {
      lookups += 1;
      return Promise.resolve(known);
    });
    schedulers.avoid(await schedulers.next());
    known = ["10.0.0.2"];
    expect((await schedulers.next()).address).toBe("lb:1 (10.0.0.1)");
    clock.time = 1000;
    expect((await schedulers.next()).address).toBe("lb:1 (10.0.0.2)");
    expect(lookups).toBe(2);
    schedulers.close();
  });

  it("that no name is known of are away", async () => {
    const unknown = new Error("getaddrinfo ENOTFOUND nowhere");
    const schedulers = new Schedulers(["nowhere:1"], undefined, new StillClock(), () => Promise.reject(unknown));
    const error: unknown = await schedulers.next().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Unavailable);
    expect(error).toMatchObject({ message: "no scheduler behind nowhere:1", cause: unknown, outcomeUnknown: false });
  });
});

it("pauses at random, at most 2 s", () => {
  expect([0, 1, 2, 20].map((n) => pause(n, 0.5))).toEqual([25, 50, 100, 1000]);
  expect(pause(5, 0)).toBe(0);
});

describe("settings", () => {
  it("come from the code, else the environment, else defaults", () => {
    expect(clientSettings({}, {})).toMatchObject({
      addresses: ["localhost:7070"],
      namespace: "default",
      tls: undefined,
    });
    const environment = { TASKYARD_ADDRESS: "a,b:1", TASKYARD_NAMESPACE: "shop", TASKYARD_TLS: "1" };
    const told = clientSettings({}, environment);
    expect(told).toMatchObject({ addresses: ["a:7070", "b:1"], namespace: "shop" });
    expect(told.tls?.()).toEqual({});
    expect(clientSettings({ address: "c", namespace: "mail" }, environment)).toMatchObject({
      addresses: ["c:7070"],
      namespace: "mail",
    });
  });

  it.each([
    [{ address: "" }, "address: is empty"],
    [{ address: "a:b" }, "address: "],
    [{ timeLimit: 0 }, "timeLimit: "],
    [{ namespace: "\ud800" }, "namespace: "],
  ])("that are wrong are named: %j", (options, message) => {
    expect(() => clientSettings(options, {})).toThrow(message);
  });
});
