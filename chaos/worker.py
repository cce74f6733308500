"""A worker for chaos runs: `python -m chaos.worker --slots 20 --label zone=a`.

It keeps its own log of what it started and ended (`--log`, or CHAOS_WORKER_LOG). The SDK's settings apply:
TASKYARD_DISPATCHERS, TASKYARD_WORKER_NAME, ... `--mode deaf` and `--mode replay` misbehave, see chaos/misbehaviour.py.
"""

import asyncio
import logging
import os
import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from chaos import misbehaviour
from chaos.history.events import Ended, Started
from chaos.history.journal import Journal, steady_clock
from chaos.workloads.deeds import DEEDS
from chaos.workloads.performance import TYPES, Hopeless, digest_of, perform
from taskyard import Context, Worker


class Mode(StrEnum):
    """How the worker behaves."""

    WORK = "work"
    DEAF = "deaf"
    REPLAY = "replay"


def main(
    *,
    log: Annotated[Path, typer.Option(envvar="CHAOS_WORKER_LOG", help="Its own log, JSON lines.")],
    dispatchers: Annotated[str, typer.Option(envvar="TASKYARD_DISPATCHERS")] = "localhost:7071",
    name: Annotated[str, typer.Option(envvar="TASKYARD_WORKER_NAME")] = "",
    slots: Annotated[int, typer.Option(envvar="TASKYARD_WORKER_SLOTS", min=1)] = 20,
    labels: Annotated[
        list[str] | None, typer.Option("--label", envvar="CHAOS_WORKER_LABELS", help="NAME=VALUE; may be repeated.")
    ] = None,
    queues: Annotated[
        list[str] | None, typer.Option("--queue", envvar="CHAOS_WORKER_QUEUES", help="Served queue; may be repeated.")
    ] = None,
    mode: Annotated[Mode, typer.Option(envvar="CHAOS_WORKER_MODE")] = Mode.WORK,
    epoch: Annotated[
        float | None, typer.Option(envvar="CHAOS_EPOCH", help="When the monotonic clock stood at zero, if it is known.")
    ] = None,
) -> None:
    """Run one worker until SIGTERM."""
    # Tasks fail because they are told to; that is no news.
    logging.getLogger("taskyard").setLevel(logging.ERROR)
    name = name or f"{socket.gethostname()}-{os.getpid()}"
    labelled = dict(label.split("=", 1) for label in labels or ())
    with Journal(log, clock=steady_clock(epoch)) as journal:
        if mode is Mode.WORK:
            worker = Worker(
                dispatchers, labels=labelled or None, slots=slots, queues=queues or (), name=name, grace=5.0
            )
            Logged(worker, name, journal).run()
        else:
            fellow = misbehaviour.Fellow(
                dispatchers.split(","), str(uuid4()), name, slots, labelled, tuple(queues or ())
            )
            act = misbehaviour.deaf if mode is Mode.DEAF else misbehaviour.replay
            asyncio.run(act(fellow, journal))


class Logged:
    """A worker whose handler notes what it does, before anybody else can know it."""

    def __init__(self, worker: Worker, name: str, journal: Journal) -> None:
        self._worker = worker
        self._name = name
        self._journal = journal
        for type_ in TYPES:
            worker.task(type_)(self._handle)

    def run(self) -> None:
        """Serves every type of task."""
        self._worker.run()

    async def _handle(self, context: Context, payload: Any) -> Any:
        attempt = (self._name, self._worker.session_id or "", *context.token)
        self._journal.append(Started(self._journal.now(), *attempt))
        outcome, said = "FAILED", None
        # What is done to a handler that is to fail shows as a cancellation, or not at all.
        fails = context.type in DEEDS and DEEDS[context.type].error is not None
        try:
            returned = await perform(context, payload)
            if not fails:
                outcome, said = "SUCCEEDED", digest_of(returned)
        except Hopeless:
            outcome = "HOPELESS"
            raise
        except asyncio.CancelledError:
            outcome = "FAILED" if fails else "STOPPED"
            raise
        finally:
            self._journal.append(Ended(self._journal.now(), *attempt, outcome, said))
        return returned


if __name__ == "__main__":
    typer.run(main)
