"""What workers report is gathered, so that a worker that sends each result in a frame of its own costs no more."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from taskyard_core.domain import limits
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_dispatcher.gateway.reception import GATHER_SECONDS, RESULT_BYTES, Inbox, Reception
from taskyard_dispatcher.outcomes.completion import Report

TASK = "0190a1b2-0000-7000-8000-000000000001"


class HandClock(SystemClock):
    """Stands still; whoever sleeps does so until the test lets time pass."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.passed = asyncio.Event()
        self.sleeping = asyncio.Event()

    def monotonic(self) -> float:
        return 100.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.sleeping.set()
        await self.passed.wait()


class Settled:
    """A completion that notes which attempts came in one lot."""

    def __init__(self) -> None:
        self.lots: list[list[int]] = []

    async def report(self, _: object, reports: Sequence[Report]) -> None:
        self.lots.append([report.attempt for report in reports])
        if any(report.attempt == 13 for report in reports):
            raise RuntimeError("nobody thought of this")


class Holding:
    """A session that holds whatever is reported."""

    slots = 10

    def ends(self, task_id: str, attempt: int) -> bool:
        return True


def frame(*attempts: int, size: int = 1) -> wire.WorkerFrame:
    results = [wire.TaskResult(task_id=TASK, attempt=attempt, result=b"1" * size) for attempt in attempts]
    return wire.WorkerFrame(results=results)


class Stage:
    def __init__(self) -> None:
        self.clock, self.settled = HandClock(), Settled()
        self.reception = Reception(cast("Any", self.settled), cast("Any", None), self.clock, 1.0)
        self.inbox: Inbox = self.reception.open(cast("Any", Holding()))


async def test_a_frame_that_comes_alone_waits_for_nothing() -> None:
    stage = Stage()
    await stage.inbox.take(frame(1, 2))
    await stage.inbox.settled()
    assert (stage.settled.lots, stage.clock.slept) == ([[1, 2]], [])


async def test_frames_that_come_close_are_settled_together() -> None:
    stage = Stage()
    await stage.inbox.take(frame(1))
    await stage.inbox.settled()
    await stage.inbox.take(frame(2))
    await stage.clock.sleeping.wait()
    assert stage.clock.slept == [pytest.approx(GATHER_SECONDS)]
    await stage.inbox.take(frame(3, 4))
    await stage.inbox.take(wire.WorkerFrame(released=[wire.AttemptRef(task_id=TASK, attempt=5)]))
    assert stage.settled.lots == [[1]]
    stage.clock.passed.set()
    await stage.inbox.settled()
    assert stage.settled.lots == [[1], [2, 3, 4, 5]]


async def test_large_results_are_a_lot_of_their_own() -> None:
    stage = Stage()
    stage.clock.passed.set()
    for attempt, size in ((1, 1), (2, limits.LARGE_BYTES), (3, 1), (4, 1)):
        await stage.inbox.take(frame(attempt, size=size))
    await stage.inbox.settled()
    assert stage.settled.lots == [[1], [2], [3, 4]]


@pytest.mark.parametrize("attempt", [1, 13])
async def test_what_was_reserved_is_given_back_whatever_becomes_of_it(attempt: int) -> None:
    stage = Stage()
    await stage.inbox.take(frame(attempt))
    await asyncio.wait(stage.inbox._reporting)
    assert stage.reception.results.allows(RESULT_BYTES)
    assert stage.inbox._budget.allows(RESULT_BYTES // 4)
