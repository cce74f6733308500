import { type Context, task, Worker } from "@taskyard/sdk";

const greet = task<{ town: string }, string>("town.greet");
const worker: Worker = new Worker().task(greet, (context: Context, { town }) => `${town} ${context.attempt}`);
// @ts-expect-error -- the task gives text
worker.task(greet, () => 1);
