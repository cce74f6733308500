/** What is told at start: the code's own words first, then the environment's, then defaults. */

import { readFileSync } from "node:fs";
import { availableParallelism, hostname } from "node:os";

import { InvalidArgument } from "./errors.js";

export const DISPATCHER_PORT = 7071;
export const SCHEDULER_PORT = 7070;
const DEFAULT_SLOTS = 100;
const DEFAULT_GRACE = 25_000;
const MAX_SLOTS = 10_000;
const MAX_LABELS = 64;
const MAX_LABEL_KEY = 63;
const MAX_LABEL_VALUE = 256;

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a worker is made with. What is left out comes from the environment when it starts. */
export interface WorkerOptions {
  /** `"host:port,host:port"` or a list; else TASKYARD_DISPATCHERS, else localhost:7071. */
  readonly dispatchers?: string | readonly string[];
  /** What tasks select workers by, e.g. `{ io: "ssd", memory_gb: 16 }`; merged with TASKYARD_WORKER_LABELS. */
  readonly labels?: Readonly<Record<string, string | number>>;
  /** Attempts run at once, 1 to 10000; else TASKYARD_WORKER_SLOTS, else 100. */
  readonly slots?: number;
  /** Threads for isolated handlers; default the machine's cores. */
  readonly threads?: number;
  /** The queues served; empty means all. */
  readonly queues?: string | readonly string[];
  /** Else TASKYARD_NAMESPACE, else "default". */
  readonly namespace?: string;
  /** Shown to people; else TASKYARD_WORKER_NAME, else host and process. */
  readonly name?: string;
  /** The application's own version, shown to operators. */
  readonly version?: string;
  /** Milliseconds that running attempts get to finish when the worker stops; else TASKYARD_WORKER_GRACE in seconds, else 25 s. */
  readonly grace?: number;
}

/** A worker's settings, complete and checked. */
export interface WorkerSettings {
  readonly dispatchers: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly slots: number;
  readonly threads: number;
  readonly queues: readonly string[];
  readonly namespace: string;
  readonly name: string;
  readonly version: string;
  readonly grace: number;
  readonly pod: string;
  readonly node: string;
}

/** Put a worker's settings together. Throws InvalidArgument naming the setting that is wrong. */
export function workerSettings(options: WorkerOptions, environment: Environment = process.env): WorkerSettings {
  const said = (name: string): string | undefined => (environment[name] === "" ? undefined : environment[name]);
  return {
    dispatchers: parseAddresses(
      options.dispatchers ?? said("TASKYARD_DISPATCHERS") ?? "localhost",
      DISPATCHER_PORT,
      "dispatchers",
    ),
    labels: checkLabels({ ...parseLabels(said("TASKYARD_WORKER_LABELS") ?? ""), ...options.labels }),
    slots: whole("slots", options.slots ?? numeric("TASKYARD_WORKER_SLOTS", environment) ?? DEFAULT_SLOTS),
    threads: whole("threads", options.threads ?? availableParallelism()),
    queues: list(options.queues ?? []).map((name) => printable("queues", name)),
    namespace: printable("namespace", options.namespace ?? said("TASKYARD_NAMESPACE") ?? "default"),
    name: printable("name", options.name ?? said("TASKYARD_WORKER_NAME") ?? `${hostname()}-${process.pid}`),
    version: printable("version", options.version ?? ""),
    grace: milliseconds("grace", options.grace ?? graceOf(environment) ?? DEFAULT_GRACE),
    pod: printable("TASKYARD_POD_NAME", environment.TASKYARD_POD_NAME ?? ""),
    node: printable("TASKYARD_NODE_NAME", environment.TASKYARD_NODE_NAME ?? ""),
  };
}

/** `host:port` for each address; a port left out is `port`. Throws InvalidArgument naming `field`. */
export function parseAddresses(text: string | readonly string[], port: number, field: string): string[] {
  const addresses = list(text).map((address) => withPort(address, port, field));
  if (addresses.length === 0) throw InvalidArgument.of(field, "is empty");
  return addresses;
}

/** How to talk TLS to the schedulers; files are PEM. */
export interface TlsOptions {
  /** The authorities to trust; else the system's. */
  readonly ca?: string;
  /** This client's certificate and its key, both or neither. */
  readonly cert?: string;
  readonly key?: string;
  /** The name to expect in the server's certificate, if it isn't the address's. */
  readonly serverName?: string;
}

/** What TASKYARD_TLS (1), _TLS_CA, _TLS_CERT, _TLS_KEY and _TLS_SERVER_NAME say; undefined if nothing. */
export function tlsFromEnvironment(environment: Environment = process.env): TlsOptions | undefined {
  const { TASKYARD_TLS, TASKYARD_TLS_CA, TASKYARD_TLS_CERT, TASKYARD_TLS_KEY, TASKYARD_TLS_SERVER_NAME } = environment;
  const wanted = ["1", "true", "yes", "on"].includes((TASKYARD_TLS ?? "").toLowerCase());
  if (!wanted && !TASKYARD_TLS_CA && !TASKYARD_TLS_CERT && !TASKYARD_TLS_SERVER_NAME) return undefined;
  return {
    ...(TASKYARD_TLS_CA && { ca: readFileSync(TASKYARD_TLS_CA, "utf8") }),
    ...(TASKYARD_TLS_CERT && { cert: readFileSync(TASKYARD_TLS_CERT, "utf8") }),
    ...(TASKYARD_TLS_KEY && { key: readFileSync(TASKYARD_TLS_KEY, "utf8") }),
    ...(TASKYARD_TLS_SERVER_NAME && { serverName: TASKYARD_TLS_SERVER_NAME }),
  };
}

function parseLabels(text: string): Record<string, string> {
  return Object.fromEntries(
    list(text).map((part) => {
      const [key = "", ...value] = part.split("=");
      if (key.trim() === "" || value.length === 0) {
        throw InvalidArgument.of(
          "TASKYARD_WORKER_LABELS",
          `is written key=value,key=value; got ${JSON.stringify(part)}`,
        );
      }
      return [key.trim(), value.join("=").trim()];
    }),
  );
}

function checkLabels(labels: Readonly<Record<string, string | number>>): Record<string, string> {
  const entries = Object.entries(labels);
  if (entries.length > MAX_LABELS) throw InvalidArgument.of("labels", `at most ${MAX_LABELS}`);
  return Object.fromEntries(entries.map(([key, value]) => [labelKey(key), labelValue(key, value)]));
}

function labelKey(key: string): string {
  const length = Array.from(printable("labels", key)).length;
  if (length >= 1 && length <= MAX_LABEL_KEY) return key;
  throw InvalidArgument.of("labels", `a key has 1 to ${MAX_LABEL_KEY} characters, got ${JSON.stringify(key)}`);
}

function labelValue(key: string, value: unknown): string {
  // As selectors compare it: memory_gb>=16.
  if (typeof value === "number" && Number.isSafeInteger(value)) return value.toString();
  if (typeof value === "string" && Array.from(printable(`labels.${key}`, value)).length <= MAX_LABEL_VALUE)
    return value;
  throw InvalidArgument.of(`labels.${key}`, `must be text of at most ${MAX_LABEL_VALUE} characters or a whole number`);
}

function list(text: string | readonly string[]): string[] {
  const parts = typeof text === "string" ? text.split(",") : text;
  return parts.map((part) => part.trim()).filter((part) => part !== "");
}

function withPort(address: string, port: number, field: string): string {
  const colon = address.endsWith("]") ? -1 : address.lastIndexOf(":");
  const host = colon < 0 ? address : address.slice(0, colon);
  const own = colon < 0 ? port.toString() : address.slice(colon + 1);
  const bareIpv6 = host.includes(":") && !(host.startsWith("[") && host.endsWith("]"));
  const known = /^[0-9]{1,5}$/.test(own) && Number(own) > 0 && Number(own) < 65536;
  if (known && !bareIpv6 && /^[^\s/]+$/.test(host) && host !== "[]") return `${host}:${own}`;
  throw InvalidArgument.of(field, `${JSON.stringify(address)} is not host:port (IPv6 as [host]:port)`);
}

function printable(field: string, value: unknown): string {
  if (typeof value === "string" && !/[\p{C}\p{Zl}\p{Zp}]/u.test(value)) return value;
  throw InvalidArgument.of(field, `must be printable text, got ${JSON.stringify(value)}`);
}

function whole(field: string, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MAX_SLOTS) return value;
  throw InvalidArgument.of(field, `must be 1 to ${MAX_SLOTS}, got ${String(value)}`);
}

function milliseconds(field: string, value: unknown): number {
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  throw InvalidArgument.of(field, `must be a number of milliseconds from 0 on, got ${String(value)}`);
}

function numeric(name: string, environment: Environment): number | undefined {
  const text = environment[name]?.trim();
  if (!text) return undefined;
  const value = Number(text);
  if (Number.isFinite(value)) return value;
  throw InvalidArgument.of(name, `must be a number, got ${JSON.stringify(text)}`);
}

function graceOf(environment: Environment): number | undefined {
  const seconds = numeric("TASKYARD_WORKER_GRACE", environment);
  return seconds === undefined ? undefined : seconds * 1000;
}
