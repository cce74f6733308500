/** One line of JSON for each thing that happened. */

import { writeSync } from "node:fs";

import { stringify } from "../src/payload.js";

/** Written at once: the runner may end this process at any time. */
export function tell(event: object): void {
  const line = Buffer.from(`${stringify(event)}\n`);
  for (let at = 0; at < line.length;) at += written(line.subarray(at));
}

function written(bytes: Buffer): number {
  try {
    return writeSync(1, bytes);
  } catch (error) {
    // A pipe that is full for a moment.
    if (error instanceof Error && "code" in error && error.code === "EAGAIN") return 0;
    throw error;
  }
}
