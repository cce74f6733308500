/** What the worker's thread and the session's tell each other. Hot messages carry columns, not an object for each task. */

import type { StopReason, Verdict } from "../gen/worker_service_pb.js";
import type { Key } from "./wire.js";

/** What a session is begun with. */
export interface SessionConfig {
  readonly dispatchers: readonly string[];
  readonly identity: Identity;
}

/** The hello without what changes during the worker's life. */
export interface Identity {
  readonly sessionId: string;
  readonly secret: Uint8Array;
  readonly namespace: string;
  readonly worker: string;
  readonly types: readonly string[];
  readonly queues: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly slots: number;
  readonly pod: string;
  readonly node: string;
  readonly sdk: string;
  readonly pid: bigint;
  readonly version: string;
}

export type ToSession =
  /** Encoded results one after another, each with the tag that it has in a frame. */
  | { readonly do: "results"; readonly bytes: Uint8Array; readonly ends: readonly number[] }
  | { readonly do: "release"; readonly keys: readonly Key[] }
  | { readonly do: "progress"; readonly key: Key; readonly fraction: number; readonly message: string }
  /** Answered with `drained`: no start follows it. */
  | { readonly do: "drain" }
  /** Answered with `left`. */
  | { readonly do: "leave"; readonly flushTime: number };

export type ToWorker =
  | { readonly tell: "connected"; readonly address: string; readonly dispatcher: string; readonly generation: number }
  | { readonly tell: "disconnected"; readonly address: string; readonly why: string; readonly warn: boolean }
  /** Assignments to start: regions of a frame. */
  | {
      readonly tell: "starts";
      readonly bytes: Uint8Array;
      readonly starts: readonly number[];
      readonly ends: readonly number[];
    }
  | { readonly tell: "stops"; readonly stops: readonly { readonly key: Key; readonly reason: StopReason }[] }
  | { readonly tell: "refused"; readonly results: readonly { readonly key: Key; readonly verdict: Verdict }[] }
  | { readonly tell: "rejected"; readonly why: string }
  | { readonly tell: "drained" }
  | { readonly tell: "left"; readonly unacknowledged: number };
