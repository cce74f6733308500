// Waits for data that is not there yet by being tried again, and looks after what failed for good.
//
//     node dist/report.js worker
//     node dist/report.js            submits the report of the day before yesterday
//     node dist/report.js letters    lists the dead letters, and tries those again that can succeed now
import { type Affected, Client, DeadlineExceeded, NonRetryable, type RetryPolicy, task, Worker } from "@taskyard/sdk";
import { run } from "./run.js";

export interface Report {
  day: string;
  rows: number;
}

export const nightly = task<{ day: string }, Report>("report.nightly");

/** Is tried again: its name becomes the error's type. */
export class NotReady extends Error {}
/** No other attempt will like this date better. */
export class NoDay extends NonRetryable {}

/** The rows of a day; undefined while they are not complete. */
export type Sales = (day: Date) => number | undefined;

export function worker(sales: Sales): Worker {
  return new Worker().task(nightly, (_context, { day }) => {
    const date = new Date(`${day}T00:00:00Z`);
    if (Number.isNaN(date.getTime())) throw new NoDay(`${day} is no day`);
    const rows = sales(date);
    if (rows === undefined) throw new NotReady(`the sales of ${day} are not in yet`);
    return { day, rows };
  });
}

const MINUTE = 60_000;
/** Four more attempts, after 10, 20, 40 and 80 minutes. */
const patience: RetryPolicy = {
  maxAttempts: 5,
  initialBackoff: 10 * MINUTE,
  multiplier: 2,
  maxBackoff: 120 * MINUTE,
  jitter: 0.1,
};

export async function submit(client: Client, day: string, timeout?: number): Promise<Report | undefined> {
  const options = { idempotencyKey: `report-${day}`, queue: "reports", priority: 3, retry: patience };
  const handle = await nightly.submit(client, { day }, options);
  try {
    return await handle.result({ timeout });
  } catch (error) {
    if (!(error instanceof DeadlineExceeded)) throw error;
    console.log(`the report of ${day} comes later, as ${handle.id}`);
    return undefined;
  }
}

/** Tries those reports again whose data came too late. */
export function redrive(client: Client): Promise<Affected> {
  return client.redriveMany({ type: nightly.name, errorType: "NotReady" });
}

const DAY = 24 * 60 * MINUTE;

await run(import.meta.url, {
  worker: () => worker((day) => (Date.now() - day.getTime() > DAY ? 1000 + day.getUTCDate() : undefined)).run(),
  submit: async () => {
    await using client = new Client();
    console.log(await submit(client, new Date(Date.now() - 2 * DAY).toISOString().slice(0, 10), 30_000));
  },
  letters: async () => {
    await using client = new Client();
    for await (const { id, error } of client.list({ type: nightly.name, state: "FAILED" })) {
      console.log(id, error?.type, error?.message);
    }
    console.log((await redrive(client)).count, "are tried again");
  },
});
