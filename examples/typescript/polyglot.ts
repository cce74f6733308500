// Hands chains of tasks on to the next language: the worker in TypeScript of `python -m examples.polyglot`.
//
//     node dist/polyglot.js
import { fileURLToPath } from "node:url";
import { Client, task, Worker } from "@taskyard/sdk";

const QUEUE = "polyglot";
const LANGUAGES = ["python", "go", "typescript"];

/** The next hop of a chain that has come along `path`. */
export interface Step {
  chain: number;
  hops: number;
  path: string[];
}

export const hop = task<Step, string[]>("polyglot.typescript");

export function worker(client: () => Client): Worker {
  return new Worker({ queues: QUEUE }).task(hop, async (_, { chain, hops, path }) => {
    const further = [...path, "typescript"];
    // Before it ends: whoever is killed in between, the next attempt does it again to no effect.
    if (further.length < hops) await submit(client(), { chain, hops, path: further });
    return further;
  });
}

/** One that is submitted twice is one task. */
async function submit(client: Client, step: Step): Promise<void> {
  const number = step.path.length;
  const language = LANGUAGES[number % LANGUAGES.length];
  const idempotencyKey = `polyglot-${step.chain}-${number}`;
  await client.submit(`polyglot.${language}`, step, { queue: QUEUE, idempotencyKey });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await using client = new Client();
  await worker(() => client).run();
}
