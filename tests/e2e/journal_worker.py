"""A worker that writes down each run before it does anything else: `python -m taskyard.cli worker run` runs it."""

import os
from pathlib import Path

from taskyard import Context, Worker

VARIABLE = "RUN_JOURNAL"

worker = Worker()


@worker.task("journal.run")
async def run(ctx: Context, payload: object) -> object:
    """Note the attempt, return the payload."""
    line = f"{ctx.task_id} {ctx.attempt}\n"
    with Path(os.environ[VARIABLE]).open("a") as journal:  # noqa: ASYNC230 - one short line, whole or not at all
        journal.write(line)
    return payload
