/** A real cluster on this machine, by the command that TASKYARD_SERVER names. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

interface Process {
  readonly name: string;
  readonly role: string;
  readonly pid: number;
  readonly addresses: Readonly<Record<string, string>>;
}

export class DevCluster implements AsyncDisposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "taskyard-"));
  readonly #server: ChildProcess;

  private constructor(command: string) {
    const ports = ["--rest-port", "0", "--grpc-port", "0", "--session-port", "0"];
    const size = ["--schedulers", "2", "--dispatchers", "1", "--workers", "1"];
    this.#server = spawn(command, ["dev", "--dir", this.#directory, ...ports, ...size], {
      stdio: ["ignore", "pipe", "inherit"],
    });
  }

  static async start(command: string): Promise<DevCluster> {
    const cluster = new DevCluster(command);
    const { stdout } = cluster.#server;
    if (!stdout) throw new Error("the server has no output");
    for await (const line of createInterface({ input: stdout })) if (line.startsWith("READY")) return cluster;
    throw new Error("the server ended before it was ready");
  }

  /** Addresses of all processes of a role. */
  addresses(role: string, name: string): string[] {
    return this.processes(role).map(({ addresses }) => addresses[name] ?? "");
  }

  processes(role: string): Process[] {
    const { processes } = JSON.parse(readFileSync(join(this.#directory, "cluster.json"), "utf8")) as {
      processes: Process[];
    };
    return processes.filter((process) => process.role === role);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = once(this.#server, "exit");
    this.#server.kill("SIGTERM");
    await ended;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
