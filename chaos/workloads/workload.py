"""What a workload is: it sets up, runs until told to stop, and judges its own tasks once they have ended."""

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from chaos.checks.violation import Violation
from chaos.history.journal import Journal
from chaos.history.record import History
from taskyard import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What a workload acts on. `rate` is tasks per second, `outstanding` how many may be unfinished at once.

    `clock` is monotonic seconds, for the rate. All that is random is drawn from `draw`.
    """

    client: Client
    journal: Journal
    rate: float
    stop: asyncio.Event
    draw: random.Random
    clock: Callable[[], float]
    database: Callable[[], str]
    """Where Postgres is now, for what clients do by SQL: a URL."""
    outstanding: int = 10_000


class Workload(Protocol):
    """A named kind of load."""

    @property
    def name(self) -> str:
        """As the registry and the journals have it."""

    async def setup(self, stage: Stage) -> None:
        """Prepares what the load needs; called once before `start`."""

    async def start(self, stage: Stage) -> None:
        """Loads the cluster until `stage.stop` is set, and returns when its last call has returned."""

    def check(self, history: History) -> Iterable[Violation]:
        """What this load promises beyond the invariants; called once all its tasks have ended."""
