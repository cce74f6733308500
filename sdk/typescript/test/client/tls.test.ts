import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createSecureServer, type Http2SecureServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { TaskService } from "../../src/gen/task_service_pb.js";
import { Client, type TlsOptions, Unavailable } from "../../src/index.js";

interface Pair {
  readonly cert: string;
  readonly key: string;
}

const directory = mkdtempSync(join(tmpdir(), "taskyard-tls-"));

/** A certificate that signs itself. */
function pair(name: string): Pair {
  const [cert, key] = [join(directory, `${name}.crt`), join(directory, `${name}.key`)];
  const command = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" ");
  const names = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  execFileSync("openssl", [...command, ...names, "-keyout", key, "-out", cert], { stdio: "ignore" });
  return { cert: readFileSync(cert, "utf8"), key: readFileSync(key, "utf8") };
}

describe("over TLS", () => {
  let here: Pair;
  let me: Pair;
  let server: Http2SecureServer;
  let address: string;

  beforeAll(async () => {
    [here, me] = [pair("scheduler.test"), pair("client.test")];
    const routes = connectNodeAdapter({
      routes: (router) => router.service(TaskService, { getTask: ({ id }) => ({ id }) }),
    });
    server = createSecureServer({ ...here, ca: me.cert, requestCert: true, rejectUnauthorized: true }, routes);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterAll(() => {
    server.close();
    rmSync(directory, { recursive: true });
  });

  it("a client shows its certificate, and knows the server by its name", async () => {
    await using client = new Client(address, { tls: { ca: here.cert, ...me, serverName: "scheduler.test" } });
    expect((await client.get("1")).id).toBe("1");
  });

  it.each([
    ["a wrong name", () => ({ ca: here.cert, ...me, serverName: "other.test" })],
    ["an authority that is not trusted", () => ({ ca: me.cert, ...me, serverName: "scheduler.test" })],
    ["no certificate of its own", () => ({ ca: here.cert, serverName: "scheduler.test" })],
  ])("%s is refused", async (_, tls) => {
    await using client = new Client(address, { tls, timeLimit: 300 });
    await expect(client.get("1")).rejects.toThrow(Unavailable);
  });

  it("a renewed certificate is used at the next connect", async () => {
    let known: TlsOptions = { ca: me.cert, ...me, serverName: "scheduler.test" };
    await using client = new Client(address, { tls: () => known });
    const answer = client.get("1");
    known = { ...known, ca: here.cert };
    expect((await answer).id).toBe("1");
  });
});
