/** The worker's log: lines for people at a terminal, JSON for machines. */

import type { Environment } from "../settings.js";

export type Level = "debug" | "info" | "warn" | "error";
export type Fields = Readonly<Record<string, unknown>>;

/** Where the worker's log goes. `console` is one, and pino needs a line: `(message, fields) => pino.info(fields, message)`. */
export type Logger = Readonly<Record<Level, (message: string, fields?: Fields) => void>>;

interface Target {
  readonly isTTY?: boolean;
  write(line: string): unknown;
}

const LEVELS: readonly Level[] = ["debug", "info", "warn", "error"];

/**
 * Writes lines to stderr: text at a terminal, else JSON. TASKYARD_LOG_FORMAT ("text", "json") and TASKYARD_LOG_LEVEL
 * decide otherwise.
 */
export function standardLogger(
  target: Target = process.stderr,
  environment: Environment = process.env,
  now: () => Date = () => new Date(),
): Logger {
  const format = environment.TASKYARD_LOG_FORMAT ?? (target.isTTY === true ? "text" : "json");
  const written = format === "text" ? textLine : jsonLine;
  const least = Math.max(0, LEVELS.indexOf((environment.TASKYARD_LOG_LEVEL ?? "info").toLowerCase() as Level));
  const writer =
    (level: Level) =>
    (message: string, fields: Fields = {}) => {
      if (LEVELS.indexOf(level) >= least) target.write(`${written(now(), level, message, fields)}\n`);
    };
  return { debug: writer("debug"), info: writer("info"), warn: writer("warn"), error: writer("error") };
}

/** A logger that never throws: an application's own must not take a result along. */
export function guarded(logger: Logger): Logger {
  const guard = (level: Level) => (message: string, fields?: Fields) => {
    try {
      logger[level](message, fields);
    } catch {
      // There is nowhere left to say it.
    }
  };
  return { debug: guard("debug"), info: guard("info"), warn: guard("warn"), error: guard("error") };
}

function textLine(time: Date, level: Level, message: string, fields: Fields): string {
  const known = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
  const told = known.map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return [time.toISOString(), level.toUpperCase(), message, ...told].join(" ");
}

function jsonLine(time: Date, level: Level, message: string, fields: Fields): string {
  return JSON.stringify({ time: time.toISOString(), level, message, ...fields });
}
