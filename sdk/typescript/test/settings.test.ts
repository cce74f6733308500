import { describe, expect, it } from "vitest";

import { parseAddresses, tlsFromEnvironment, workerSettings } from "../src/settings.js";

describe("a worker's settings", () => {
  it("come from the code, then the environment, then defaults", () => {
    const environment = {
      TASKYARD_DISPATCHERS: "a:1, b",
      TASKYARD_WORKER_LABELS: "io=ssd,zone=a=b",
      TASKYARD_WORKER_SLOTS: "7",
      TASKYARD_WORKER_GRACE: "1.5",
      TASKYARD_NAMESPACE: "",
    };
    expect(workerSettings({ labels: { io: "hdd", memory_gb: 16 } }, environment)).toMatchObject({
      dispatchers: ["a:1", "b:7071"],
      labels: { io: "hdd", zone: "a=b", memory_gb: "16" },
      slots: 7,
      grace: 1500,
      namespace: "default",
    });
    expect(workerSettings({ slots: 3, dispatchers: ["c"] }, environment)).toMatchObject({
      dispatchers: ["c:7071"],
      slots: 3,
    });
  });

  it.each([
    [{ slots: 0 }, {}, "slots"],
    [{ slots: 1.5 }, {}, "slots"],
    [{ grace: NaN }, {}, "grace"],
    [{ name: "a\nb" }, {}, "name"],
    [{ labels: { "": "x" } }, {}, "labels"],
    [{ labels: { a: 1.5 } }, {}, "labels.a"],
    [{ dispatchers: "" }, {}, "dispatchers"],
    [{}, { TASKYARD_WORKER_SLOTS: "many" }, "TASKYARD_WORKER_SLOTS"],
    [{}, { TASKYARD_WORKER_LABELS: "io" }, "TASKYARD_WORKER_LABELS"],
  ])("%j with %j names what is wrong", (options, environment, field) => {
    expect(() => workerSettings(options, environment)).toThrow(`${field}: `);
  });
});

describe("addresses", () => {
  it.each([
    ["host", "host:7071"],
    ["[::1]", "[::1]:7071"],
    ["[::1]:9", "[::1]:9"],
  ])("%s", (text, address) => {
    expect(parseAddresses(text, 7071, "address")).toEqual([address]);
  });

  it.each(["::1", "host:", "host:0", "host:65536", "http://host", "a b:1", ":1"])("%s is none", (text) => {
    expect(() => parseAddresses(text, 7071, "address")).toThrow("address: ");
  });
});

it("talks TLS if any of its variables is set", () => {
  expect(tlsFromEnvironment({})).toBeUndefined();
  expect(tlsFromEnvironment({ TASKYARD_TLS: "on" })).toEqual({});
  expect(tlsFromEnvironment({ TASKYARD_TLS_SERVER_NAME: "x" })).toEqual({ serverName: "x" });
});
