/** What the worker and the threads of isolated handlers tell each other. One attempt at a time runs in a thread. */

import type { StopCause } from "../errors.js";
import type { Assignment } from "./assignment.js";
import type { Failure } from "./outcome.js";

export type ToIsolate =
  | { readonly do: "run"; readonly module: string; readonly assignment: Assignment }
  | { readonly do: "stop"; readonly cause: StopCause }
  | { readonly do: "drain" };

export type FromIsolate =
  | { readonly tell: "progress"; readonly fraction: number; readonly message: string }
  | { readonly tell: "returned"; readonly text: string }
  | { readonly tell: "failed"; readonly failure: Failure; readonly ofStop: boolean; readonly final: boolean };
