// Runs heavy work only where the hardware is, says how far it is, and stops when it is cancelled.
//
//     TASKYARD_WORKER_LABELS=gpu=a10,memory_gb=32 node dist/media.js worker
//     node dist/media.js
import { setInterval, setTimeout } from "node:timers/promises";
import { Client, task, type TaskHandle, Worker } from "@taskyard/sdk";
import { run } from "./run.js";

export interface Clip {
  file: string;
  frames: number;
}

export const transcode = task<Clip, Clip>("media.transcode");

export function worker(frameMilliseconds = 50): Worker {
  // Encoding takes the whole machine: two at a time.
  return new Worker({ slots: 2, queues: ["media"] }).task(transcode, async (context, { file, frames }) => {
    for (let frame = 1; frame <= frames; frame++) {
      // Rejects when the task is cancelled, out of time, or the worker stops: `signal.reason.stop` tells which.
      await setTimeout(frameMilliseconds, undefined, { signal: context.signal });
      // Cheap: the latest of each half second is sent.
      context.progress(frame / frames, `frame ${frame}`);
    }
    return { file: `${file}.webm`, frames };
  });
}

export async function submit(client: Client, clip: Clip): Promise<TaskHandle<Clip>> {
  return await transcode.submit(client, clip, {
    queue: "media",
    selector: "gpu,memory_gb>=16",
    timeout: 600_000,
  });
}

async function watch(handle: TaskHandle<Clip>, signal: AbortSignal): Promise<void> {
  for await (const _ of setInterval(1_000, undefined, { signal })) {
    const { progress } = await handle.get({ signal });
    if (progress) console.log(`${Math.round(100 * progress.fraction)} % ${progress.message}`);
  }
}

await run(import.meta.url, {
  worker: () => worker().run(),
  submit: async () => {
    await using client = new Client();
    const handle = await submit(client, { file: "talk.mov", frames: 100 });
    const over = new AbortController();
    const watching = watch(handle, over.signal).catch((error: unknown) => {
      if (!over.signal.aborted) throw error;
    });
    console.log(await handle.result({ timeout: 60_000 }));
    over.abort();
    await watching;
  },
});
