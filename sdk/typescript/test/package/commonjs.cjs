const assert = require("node:assert/strict");
const { createServer } = require("node:net");
const { Client, NonRetryable, task, Worker } = require("@taskyard/sdk");

assert.equal(typeof Client, "function");
assert.equal(typeof require("@taskyard/sdk/testing"), "object");

(async () => {
  const own = await import("@taskyard/sdk");
  assert.notEqual(own.NonRetryable, undefined);
  assert.ok(new NonRetryable("x") instanceof Error);
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
  console.log("CommonJS works");
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
