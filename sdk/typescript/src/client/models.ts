/** What the client's calls take and return, as plain typed values. Durations are milliseconds, times are `Date`s. */

/** Where a task stands. `UNKNOWN` is a state of a newer server, which this version of the SDK does not know. */
export type TaskState =
  "SCHEDULED" | "BLOCKED" | "QUEUED" | "RUNNING" | "SUCCEEDED" | "FAILED" | "CANCELLED" | "EXPIRED" | "UNKNOWN";

/** How one run of a task ended. `UNKNOWN` is an outcome of a newer server. */
export type AttemptOutcome = "SUCCEEDED" | "FAILED" | "CRASHED" | "RELEASED" | "CANCELLED" | "TIMED_OUT" | "UNKNOWN";

const TERMINAL: ReadonlySet<TaskState> = new Set(["SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"]);

/** Whether a task in this state is over. A FAILED one can still be redriven. */
export function isTerminal(state: TaskState): boolean {
  return TERMINAL.has(state);
}

/**
 * How failures are retried: retry n waits initialBackoff × multiplier^(n−1), at most maxBackoff. A field left out
 * takes the queue's default.
 */
export interface RetryPolicy {
  /** Attempts in all that may fail, 1 to 1000. */
  readonly maxAttempts?: number | undefined;
  /** Milliseconds. */
  readonly initialBackoff?: number | undefined;
  readonly multiplier?: number | undefined;
  /** Milliseconds. */
  readonly maxBackoff?: number | undefined;
  /** The share of the backoff that is drawn at random, 0 to 1: with 0.2, 10 s become 8 to 12 s. */
  readonly jitter?: number | undefined;
}

/** What `submit` takes besides type and payload. All are optional. */
export interface TaskOptions {
  /** Default "default". */
  readonly queue?: string | undefined;
  /** 0 (lowest) to 10 (highest), default 5. */
  readonly priority?: number | undefined;
  /** Which workers may run it, e.g. `"io=ssd,region in (eu,us),!spot,memory_gb>=16"`. */
  readonly selector?: string | undefined;
  /** Submitting the same task again with the same key answers with the first one. An empty one is refused. */
  readonly idempotencyKey?: string | undefined;
  /** Milliseconds until it may start. Not together with `runAt`. */
  readonly delay?: number | undefined;
  /** When it may start. Default now. */
  readonly runAt?: Date | undefined;
  /** A task that has not started by then is EXPIRED. */
  readonly expiresAt?: Date | undefined;
  /** Milliseconds that one attempt may run. Default: no limit. */
  readonly timeout?: number | undefined;
  /** Default the queue's. */
  readonly retry?: RetryPolicy | undefined;
  /** Ids of tasks that must succeed first. */
  readonly dependsOn?: readonly string[] | undefined;
}

/** Bounds one call: once the signal is aborted, the caller is told at once. */
export interface CallOptions {
  /** An abort ends the call with its reason; a passed `AbortSignal.timeout` is told as `DeadlineExceeded`. */
  readonly signal?: AbortSignal | undefined;
}

/** How long to wait for a task. */
export interface WaitOptions extends CallOptions {
  /** Milliseconds; without it the wait has no end of its own. */
  readonly timeout?: number | undefined;
}

/** Which tasks are meant; all fields that are set must match. */
export interface TaskFilter {
  readonly queue?: string | undefined;
  readonly type?: string | undefined;
  readonly state?: TaskState | undefined;
  /** Compared with `error.type`. */
  readonly errorType?: string | undefined;
}

/** How to list tasks. */
export interface ListOptions extends TaskFilter, CallOptions {
  /** Tasks that are fetched at a time, 1 to 1000, default 100. */
  readonly pageSize?: number | undefined;
}

/** Which FAILED tasks to redrive or purge, and how many. */
export interface BulkOptions extends Omit<TaskFilter, "state">, CallOptions {
  /** 1 to 10000, default 1000. The oldest go first. */
  readonly limit?: number | undefined;
  /** Count only. */
  readonly dryRun?: boolean | undefined;
}

/** Why an attempt or a task failed; `type` is a stable word to branch on. */
export interface TaskError {
  readonly type: string;
  readonly message: string;
  readonly stack: string;
  readonly retryable: boolean;
}

/** How far a handler says it has come; `fraction` is 0 to 1. */
export interface Progress {
  readonly fraction: number;
  readonly message: string;
}

/** A task as the server last told it. */
export interface Task<Output = unknown> {
  readonly id: string;
  readonly namespace: string;
  readonly queue: string;
  readonly type: string;
  readonly payload: unknown;
  readonly priority: number;
  readonly selector: string;
  readonly state: TaskState;
  /** Rises at each claim; with the id it is the fencing token of a run. */
  readonly attempt: number;
  readonly failures: number;
  readonly crashes: number;
  readonly idempotencyKey: string;
  readonly runAt: Date | undefined;
  readonly expiresAt: Date | undefined;
  /** Milliseconds. */
  readonly timeout: number | undefined;
  readonly retry: RetryPolicy | undefined;
  readonly dependsOn: readonly string[];
  /** Undefined unless the state is SUCCEEDED. */
  readonly result: Output | undefined;
  readonly error: TaskError | undefined;
  readonly createdAt: Date | undefined;
  readonly startedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
  /** Name of the worker that holds or last held it. */
  readonly worker: string;
  readonly traceparent: string;
  readonly cancelRequested: boolean;
  readonly progress: Progress | undefined;
}

/** One run of a task. The one that is running has no outcome yet. */
export interface Attempt {
  readonly taskId: string;
  readonly attempt: number;
  /** A public name of the worker's session. */
  readonly sessionId: string;
  readonly worker: string;
  readonly pod: string;
  readonly dispatcher: string;
  readonly startedAt: Date | undefined;
  readonly finishedAt: Date | undefined;
  readonly outcome: AttemptOutcome | undefined;
  readonly error: TaskError | undefined;
}

/** What `redriveMany` or `purgeMany` did, or on a dry run would do; `ids` are the first 100. */
export interface Affected {
  readonly count: number;
  readonly ids: readonly string[];
}

/** How many tasks of a queue are in which state, and its settings. */
export interface Queue {
  readonly namespace: string;
  readonly name: string;
  readonly scheduled: number;
  readonly blocked: number;
  readonly queued: number;
  readonly running: number;
  readonly failed: number;
  /** Milliseconds that the oldest QUEUED task has been ready to run; undefined when none is. */
  readonly oldestAge: number | undefined;
  /** What its tasks take where they leave retry fields out. */
  readonly retry: RetryPolicy | undefined;
  /** Submits are refused while this many tasks wait; 0 means the cluster's limit. */
  readonly maxBacklog: number;
}

/** A connected worker. */
export interface WorkerInfo {
  readonly sessionId: string;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly queues: readonly string[];
  readonly types: readonly string[];
  /** How many tasks it runs at once. */
  readonly slots: number;
  /** How many it runs now. */
  readonly running: number;
  readonly pod: string;
  readonly dispatcher: string;
  readonly sdk: string;
  readonly pid: number;
  readonly connectedAt: Date | undefined;
  readonly draining: boolean;
}

/** The leading dispatcher. `term` rises with each election. */
export interface Leader {
  readonly id: string;
  readonly term: number;
  readonly pid: number;
  readonly pod: string;
}

/** A live dispatcher. */
export interface Dispatcher {
  readonly id: string;
  readonly pid: number;
  readonly pod: string;
  /** Where workers open sessions. */
  readonly sessionAddress: string;
  /** Metrics and health. */
  readonly httpAddress: string;
  readonly version: string;
  readonly leader: boolean;
  readonly startedAt: Date | undefined;
}

/** The cluster's members. `leader` is undefined while there is none. */
export interface Cluster {
  readonly version: string;
  readonly leader: Leader | undefined;
  readonly dispatchers: readonly Dispatcher[];
}
