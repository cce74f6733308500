// Run in a project that has installed the packed package: everything is found, threads too.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { Client, NonRetryable, task, Worker } from "@taskyard/sdk";
import * as testing from "@taskyard/sdk/testing";

assert.equal(typeof Client, "function");
assert.ok(Object.keys(testing).length > 0);
assert.ok(new NonRetryable("x") instanceof Error);

// A dispatcher that says nothing: that somebody connects shows that the session's thread was found.
const server = createServer();
const connected = new Promise((resolve) => server.once("connection", resolve));
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const worker = new Worker({ dispatchers: `127.0.0.1:${server.address().port}` });
worker.task(task("a.b"), () => null);
const serving = worker.serve();
(await connected).destroy();
server.close();
await worker.stop();
await serving;
console.log("ESM works");
