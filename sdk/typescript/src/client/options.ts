/** What a client is made with: the code's own words first, then the environment's, then defaults. */

import { InvalidArgument } from "../errors.js";
import { type Environment, parseAddresses, SCHEDULER_PORT, type TlsOptions, tlsFromEnvironment } from "../settings.js";
import type { TlsSource } from "./connection.js";
import { text } from "./specs.js";

const DEFAULT_TIME_LIMIT_MS = 30_000;

/** Where schedulers are: `"host:port,host:port"` or a list. They take turns; a name may stand for several. */
export type Addresses = string | readonly string[];

export interface ClientOptions {
  /** Else TASKYARD_ADDRESS, else localhost:7070. */
  readonly address?: Addresses | undefined;
  /** Else TASKYARD_NAMESPACE, else "default". */
  readonly namespace?: string | undefined;
  /**
   * How to talk TLS, or a function that says so before each connect; else what TASKYARD_TLS, TASKYARD_TLS_CA … say, read
   * anew before each connect.
   */
  readonly tls?: TlsOptions | (() => TlsOptions) | undefined;
  /** Milliseconds that one call may take with its retries, default 30 s. Waiting for results is not bound by it. */
  readonly timeLimit?: number | undefined;
  /** Give every submit that has no idempotency key one of its own. Costs the server a row each. */
  readonly generateKeys?: boolean | undefined;
}

/** A client's settings, complete and checked. */
export interface ClientSettings {
  readonly addresses: readonly string[];
  readonly namespace: string;
  readonly tls: TlsSource | undefined;
  readonly timeLimit: number;
  readonly generateKeys: boolean;
}

/** Put a client's settings together. Throws InvalidArgument naming the setting that is wrong. */
export function clientSettings(options: ClientOptions, environment: Environment): ClientSettings {
  const address = options.address ?? said(environment.TASKYARD_ADDRESS) ?? "localhost";
  const timeLimit = options.timeLimit ?? DEFAULT_TIME_LIMIT_MS;
  if (!(timeLimit > 0)) throw InvalidArgument.of("timeLimit", `must be milliseconds above 0, got ${String(timeLimit)}`);
  return {
    addresses: parseAddresses(address, SCHEDULER_PORT, "address"),
    namespace: text("namespace", options.namespace ?? said(environment.TASKYARD_NAMESPACE) ?? "default"),
    tls: tlsSource(options.tls, environment),
    timeLimit,
    generateKeys: options.generateKeys ?? false,
  };
}

/** An empty variable says nothing. */
function said(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function tlsSource(given: ClientOptions["tls"], environment: Environment): TlsSource | undefined {
  if (typeof given === "function") return given;
  if (given) return () => given;
  // Read once now, so that a file that is not there is told at once.
  const told = tlsFromEnvironment(environment);
  return told && (() => tlsFromEnvironment(environment) ?? told);
}

/** The options of a client that was given its address, or options, or both. */
export function merged(target: Addresses | ClientOptions, options: ClientOptions): ClientOptions {
  const alone = typeof target === "string" || Array.isArray(target);
  return alone ? { ...options, address: target as Addresses } : { ...options, ...(target as ClientOptions) };
}
