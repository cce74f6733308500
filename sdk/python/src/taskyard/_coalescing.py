"""Single submits made at the same time travel together.

No timer is involved: what arrives while calls are on their way goes into the next one, and a lone submit goes at once.
"""

import asyncio
import copy
from collections import deque

from taskyard import _batches
from taskyard._batches import Accepted, Outcome
from taskyard._calls import Calls
from taskyard._gen.task_pb2 import TaskSpec
from taskyard.errors import Unavailable

FLIGHTS = 2
"""Calls on their way at once. One would idle while its answer travels; more make each smaller and dearer."""


class _Passenger:
    """One submit: its task, and who waits for the outcome."""

    __slots__ = ("flight", "outcome", "size", "spec")

    def __init__(self, spec: TaskSpec, size: int, outcome: asyncio.Future[Accepted]) -> None:
        self.spec = spec
        self.size = size
        self.outcome = outcome
        self.flight: _Flight | None = None


class _Flight:
    """One call on its way with the submits it carries."""

    def __init__(self, passengers: list[_Passenger]) -> None:
        self.passengers = passengers
        self.waiting = len(passengers)
        self.task: asyncio.Task[None] | None = None

    def abandon(self) -> None:
        """One caller less waits; the call itself is cancelled when none is left."""
        self.waiting -= 1
        if self.waiting == 0 and self.task is not None:
            self.task.cancel()

    def land(self, outcomes: list[Outcome]) -> None:
        """Tell each caller its outcome."""
        for passenger, outcome in zip(self.passengers, outcomes, strict=True):
            if passenger.outcome.done():
                continue
            if isinstance(outcome, Accepted):
                passenger.outcome.set_result(outcome)
            else:
                # A copy for each: an exception that is raised in many places collects all their frames.
                passenger.outcome.set_exception(copy.copy(outcome))


class Coalescer:
    """Gathers single submits into batches."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._waiting: deque[_Passenger] = deque()
        self._flights: set[_Flight] = set()
        self._departing = False

    async def submit(self, spec: TaskSpec) -> Accepted:
        """The task once it is durable; raises TaskyardError.

        Cancelled before it was sent, it is never sent. Cancelled later, its outcome is unknown.
        """
        self._calls.schedulers.home.enter()
        loop = asyncio.get_running_loop()
        passenger = _Passenger(spec, _batches.size_of(spec), loop.create_future())
        self._waiting.append(passenger)
        self._depart_soon(loop)
        try:
            return await passenger.outcome
        except asyncio.CancelledError:
            if passenger.flight:
                passenger.flight.abandon()
            raise

    def close(self) -> None:
        """Fail those that still wait, and cancel the calls on their way."""
        for passenger in self._waiting:
            if not passenger.outcome.done():
                passenger.outcome.set_exception(Unavailable("the client was closed"))
        self._waiting.clear()
        for flight in self._flights:
            if flight.task is not None:
                flight.task.cancel()

    def _depart_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        # Not at once: those who submit in the same turn of the event loop shall come along.
        if not self._departing and len(self._flights) < FLIGHTS:
            self._departing = True
            loop.call_soon(self._depart)

    def _depart(self) -> None:
        self._departing = False
        while len(self._flights) < FLIGHTS and (passengers := self._board()):
            flight = _Flight(passengers)
            for passenger in passengers:
                passenger.flight = flight
            self._flights.add(flight)
            flight.task = asyncio.create_task(self._fly(flight))

    def _board(self) -> list[_Passenger]:
        boarded: list[_Passenger] = []
        size = 0
        while self._waiting and len(boarded) < _batches.MAX_TASKS:
            if self._waiting[0].outcome.done():
                self._waiting.popleft()
                continue
            size += self._waiting[0].size
            if size > _batches.MAX_BYTES:
                break
            boarded.append(self._waiting.popleft())
        return boarded

    async def _fly(self, flight: _Flight) -> None:
        outcomes: list[Outcome]
        closed = Unavailable("the client was closed", outcome_unknown=True)
        outcomes = [closed] * len(flight.passengers)
        try:
            outcomes = await _batches.submit(self._calls, [passenger.spec for passenger in flight.passengers])
        finally:
            flight.land(outcomes)
            self._flights.discard(flight)
            if self._waiting:
                self._depart_soon(asyncio.get_running_loop())
