/** Client commands of the conformance kit: each is a call of the SDK's client. */

import { readFileSync } from "node:fs";

import {
  Client,
  type BulkOptions,
  type RetryPolicy,
  type TaskFilter,
  TaskHandle,
  type TaskOptions,
  type TaskRequest,
  type TlsOptions,
  type WaitOptions,
} from "@taskyard/sdk";

import { made } from "./made.js";
import { type Fields, milliseconds, plain, problem, Unsupported } from "./notation.js";

export const features = ["client", "big-integers", "tls", "leaks"];

/** Carries a command out; `signal` is aborted when its caller gives up. */
export type Command = (fields: Fields, signal: AbortSignal) => unknown;

const clients = new Map<string, Client>();

function client({ client = "c" }: Fields): Client {
  const found = clients.get(client as string);
  if (!found) throw new Error(`no client ${String(client)}`);
  return found;
}

function open({ client = "c", address, namespace, time_limit, generate_keys, tls, ...more }: Fields): object {
  known("a client", more);
  const opened = new Client({
    address: address as string | undefined,
    namespace: namespace as string | undefined,
    timeLimit: length(time_limit),
    generateKeys: generate_keys as boolean | undefined,
    tls: tls === undefined ? undefined : tlsOf(tls as Readonly<Record<string, string>>),
  });
  clients.set(client as string, opened);
  return {};
}

function tlsOf({ ca, cert, key, server_name }: Readonly<Record<string, string>>): () => TlsOptions {
  const read = (): TlsOptions => ({
    ...(ca && { ca: readFileSync(ca, "utf8") }),
    ...(cert && { cert: readFileSync(cert, "utf8") }),
    ...(key && { key: readFileSync(key, "utf8") }),
    ...(server_name && { serverName: server_name }),
  });
  read(); // a file that is not there is told at once
  return read;
}

async function close(fields: Fields): Promise<object> {
  await client(fields).close();
  clients.delete((fields.client ?? "c") as string);
  return {};
}

function known(what: string, more: Fields): void {
  const names = Object.keys(more).filter((name) => name !== "client");
  if (names.length > 0) throw new Unsupported(`${what} has no ${names.join(", ")}`);
}

function request(fields: Fields): TaskRequest {
  const { type, payload, make, queue, priority, selector, idempotency_key, ...times } = fields;
  const { run_at, delay, expires_at, timeout, depends_on, retry, ...more } = times;
  known("a submit", more);
  const options = {
    queue,
    priority,
    selector,
    idempotencyKey: idempotency_key,
    runAt: moment(run_at),
    delay: length(delay),
    expiresAt: moment(expires_at),
    timeout: length(timeout),
    dependsOn: depends_on,
    retry: retry === undefined ? undefined : retryOf(retry as Fields),
  } as TaskOptions;
  return { ...options, task: type as string, payload: make === undefined ? payload : made(make as Fields) };
}

function retryOf({ max_attempts, initial_backoff, multiplier, max_backoff, jitter }: Fields): RetryPolicy {
  return {
    maxAttempts: max_attempts as number | undefined,
    initialBackoff: length(initial_backoff),
    multiplier: multiplier as number | undefined,
    maxBackoff: length(max_backoff),
    jitter: jitter as number | undefined,
  };
}

function length(text: unknown): number | undefined {
  return text === undefined ? undefined : milliseconds(text as string);
}

function moment(text: unknown): Date | undefined {
  return text === undefined ? undefined : new Date(text as string);
}

function accepted({ id, deduplicated }: TaskHandle): object {
  return { task: id, deduplicated };
}

async function submit(fields: Fields, signal: AbortSignal): Promise<object> {
  const { task, payload, ...options } = request(fields);
  return accepted(await client(fields).submit(task as string, payload, { ...options, signal }));
}

async function submitMany(fields: Fields, signal: AbortSignal): Promise<object> {
  const outcomes = await client(fields).submitMany((fields.tasks as Fields[]).map(request), { signal });
  const told = outcomes.map((outcome) =>
    outcome instanceof TaskHandle ? accepted(outcome) : { error: problem(outcome) },
  );
  return { results: told };
}

function waiting({ timeout }: Fields, signal: AbortSignal): WaitOptions {
  return { timeout: length(timeout), signal };
}

function filter(fields: Fields): TaskFilter {
  const { error_type, ...more } = (fields.filter ?? {}) as Fields;
  return { ...more, ...(error_type !== undefined && { errorType: error_type as string }) };
}

async function list(fields: Fields, signal: AbortSignal): Promise<object> {
  const { page_size, limit = Infinity } = fields as { page_size?: number; limit?: number };
  const tasks: unknown[] = [];
  for await (const task of client(fields).list({ ...filter(fields), pageSize: page_size, signal })) {
    tasks.push(plain(task));
    if (tasks.length >= limit) break;
  }
  return { tasks };
}

function bulk(fields: Fields, signal: AbortSignal): BulkOptions {
  const { limit, dry_run } = fields as { limit?: number; dry_run?: boolean };
  return { ...filter(fields), limit, dryRun: dry_run, signal };
}

/** What keeps this process busy, by kind. Its own commands, one of which this is, need none of the kinds told here. */
function leaks(): object {
  const counts: Record<string, number> = { threads: 0, sockets: 0, timers: 0 };
  const told: Readonly<Record<string, string>> = {
    MessagePort: "threads",
    TCPSocketWrap: "sockets",
    Timeout: "timers",
  };
  for (const kind of process.getActiveResourcesInfo()) {
    const name = told[kind];
    if (name) counts[name] = (counts[name] ?? 0) + 1;
  }
  return { counts };
}

const id = ({ task }: Fields): string => task as string;

export const commands: Readonly<Record<string, Command>> = {
  leaks,
  "client.open": open,
  "client.close": close,
  "client.submit": submit,
  "client.submit_many": submitMany,
  "client.get": async (fields, signal) => plain(await client(fields).get(id(fields), { signal })),
  "client.cancel": async (fields, signal) => plain(await client(fields).cancel(id(fields), { signal })),
  "client.redrive": async (fields, signal) => plain(await client(fields).redrive(id(fields), { signal })),
  "client.wait": async (fields, signal) => plain(await client(fields).wait(id(fields), waiting(fields, signal))),
  "client.result": async (fields, signal) => ({
    value: await client(fields).result(id(fields), waiting(fields, signal)),
  }),
  "client.list": list,
  "client.redrive_many": async (fields, signal) => plain(await client(fields).redriveMany(bulk(fields, signal))),
  "client.purge_many": async (fields, signal) => plain(await client(fields).purgeMany(bulk(fields, signal))),
  "client.attempts": async (fields, signal) => ({
    attempts: plain(await client(fields).attempts(id(fields), { signal })),
  }),
  "client.queues": async (fields, signal) => ({ queues: plain(await client(fields).queues({ signal })) }),
  "client.workers": async (fields, signal) => ({ workers: plain(await client(fields).workers({ signal })) }),
  "client.cluster": async (fields, signal) => plain(await client(fields).cluster({ signal })),
};
