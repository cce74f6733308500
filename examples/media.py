"""Media: work for machines with the right labels, which tells how far it has come.

`taskyard worker run examples.media:worker`, and `python -m examples.media IN.wav OUT.wav`. It halves the sample rate.
"""

import asyncio
import sys
import wave
from array import array
from dataclasses import dataclass

from taskyard import Client, Context, NonRetryable, Worker, task


@dataclass
class Job:
    source: str
    target: str


@dataclass
class Media:
    seconds: float
    rate: int


transcode = task("media.transcode", Job, Media, queue="media", selector="codec=wav,cores>=1", timeout=3600)
worker = Worker(labels={"codec": "wav", "cores": 2}, queues="media", processes=1)

CHUNK = 4096


@worker.handles(transcode, process=True, non_retryable=(FileNotFoundError, wave.Error))
def halve(context: Context, job: Job) -> Media:
    with wave.open(job.source, "rb") as source, wave.open(job.target, "wb") as target:
        channels, width, rate, frames, *_ = source.getparams()
        if (channels, width) != (1, 2):
            raise NonRetryable("only 16-bit mono can be halved")
        target.setnchannels(channels)
        target.setsampwidth(width)
        target.setframerate(rate // 2)
        for done in range(0, frames, CHUNK):
            context.raise_if_cancelled()
            target.writeframes(array("h", source.readframes(CHUNK))[::2].tobytes())
            context.progress(done / frames, f"{done} of {frames} frames")
        context.progress(1, f"{frames} of {frames} frames")
    return Media(frames / rate, rate // 2)


async def main(source: str, target: str) -> None:
    async with Client() as client:
        handle = await transcode.submit(client, Job(source, target))
        while not (seen := await handle.get()).state.terminal:
            print(seen.progress.message if seen.progress else "waiting")
            await asyncio.sleep(0.5)
        print(await handle.result())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
