// Defines a task once, runs it, and submits it.
//
//     node dist/hello.js worker
//     node dist/hello.js
import { Client, task, Worker } from "@taskyard/sdk";
import { run } from "./run.js";

/** What worker and submitter share: the task's name, what it takes, what it returns. */
export const greet = task<{ town: string }, string>("town.greet");

export const worker = new Worker();
worker.task(greet, ({ attempt }, { town }) => `Hello ${town}, from attempt ${attempt}`);

export async function submit(client: Client): Promise<void> {
  const handle = await greet.submit(client, { town: "Lyon" }, { priority: 7, idempotencyKey: "greet-lyon" });
  console.log(handle.id, await handle.result({ timeout: 30_000 }));
}

await run(import.meta.url, {
  worker: () => worker.run(),
  submit: async () => {
    await using client = new Client();
    await submit(client);
  },
});
