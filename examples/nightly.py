"""Nightly report: what comes late is retried, what is broken ends among the dead letters and is redriven when repaired.

`taskyard worker run examples.nightly:worker`, and `python -m examples.nightly FOLDER`.
"""

import asyncio
import csv
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from taskyard import Client, Context, RetryPolicy, TaskFailed, TaskFilter, TaskState, Worker, task


@dataclass
class Night:
    folder: str
    day: date


@dataclass
class Report:
    day: date
    orders: int
    cents: int


report = task(
    "report.nightly", Night, Report, queue="reports", retry=RetryPolicy(max_attempts=5, initial_backoff=0.2, jitter=0)
)
worker = Worker(queues="reports")


@worker.handles(report, non_retryable=ValueError)
def summarise(context: Context, night: Night) -> Report:
    # A file that is not there yet raises FileNotFoundError and is tried again; a line that is no number is not.
    with Path(night.folder, f"{night.day}.csv").open(newline="") as sales:
        cents = [int(row["cents"]) for row in csv.DictReader(sales)]
    context.progress(1, f"{len(cents)} orders")
    return Report(night.day, len(cents), sum(cents))


async def main(folder: Path) -> None:
    late, broken = date(2026, 11, 28), date(2026, 11, 27)
    (folder / f"{broken}.csv").write_text("cents\n100\nmany\n")
    async with Client() as client:
        first = await report.submit(client, Night(str(folder), late))
        while not (await first.get()).failures:  # noqa: ASYNC110 - the data really comes from elsewhere
            await asyncio.sleep(0.05)
        (folder / f"{late}.csv").write_text("cents\n250\n350\n")
        print(await first.result(timeout=30))

        second = await report.submit(client, Night(str(folder), broken))
        try:
            await second.result(timeout=30)
        except TaskFailed as failed:
            print(failed.error.type if failed.error else "no error")
        (folder / f"{broken}.csv").write_text("cents\n100\n200\n")
        dead = TaskFilter(type=report.type, state=TaskState.FAILED, error_type="ValueError")
        print((await client.redrive_many(dead)).count, "redriven")
        print(await second.result(timeout=30))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
