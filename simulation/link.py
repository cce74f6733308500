"""How a simulated process reaches a store: each request may be slow, fail before or after it took effect, or hang."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from simulation.loop import Process, VirtualLoop
from taskyard_core.storage.unavailable import StoreUnavailable

Answer = TypeVar("Answer")

Away = Callable[[str], StoreUnavailable]
"""Makes a store's error."""


@dataclass(slots=True)
class Weather:
    """What requests to one store have to go through at the moment; shares are of 1."""

    least: float
    most: float
    """Seconds each way."""
    slow: float = 0.01
    """Share of requests that take long."""
    refused: float = 0.0
    """Share that fails before it took effect."""
    unanswered: float = 0.0
    """Share whose answer is lost."""
    hanging: float = 0.0
    """Share that takes effect, if at all, long after the caller has given up."""


class Site:
    """A store as the network sees it: up, down (refuses at once) or frozen (says nothing, and goes on later)."""

    def __init__(self, name: str, loop: VirtualLoop, random: Random, weather: Weather, patience: float) -> None:
        self.name = name
        self.loop = loop
        self.random = random
        self.weather = weather
        self.patience = patience
        """Seconds after which a client gives up."""
        self.down = False
        self.frozen = False
        self.parted: set[str] = set()
        """Names of parts whose packets do not get through."""
        self.lifts: list[Callable[[], None]] = []
        self.hanging = 0
        """How many requests will take effect long after they were given up."""

    def delay(self) -> float:
        """How long a packet takes."""
        share, weather = self.random.random(), self.weather
        if share < weather.slow:
            return share / weather.slow * min(1.0, self.patience / 4)
        return weather.least + (weather.most - weather.least) * share

    def thaw(self) -> None:
        """Go on with what has come meanwhile."""
        self.frozen = False
        self.release()

    def release(self) -> None:
        """Let through what was held up, as far as nothing else holds it up."""
        lifts, self.lifts = self.lifts, []
        for lift in lifts:
            self.loop.after(self.delay(), lift)


class SiteLink:
    """One process's way to a site. See simulation.memory.link.Link."""

    def __init__(self, site: Site, process: Process, away: Away) -> None:
        self._site = site
        self._process = process
        self._away = away

    async def call(self, operation: Callable[[], Answer]) -> Answer:
        """Send the operation to the store and wait for what came of it.

        It travels on its own: it may take effect after the process has died, was stopped, or has given up.
        """
        site = self._site
        answer: asyncio.Future[Answer] = asyncio.Future(loop=site.loop.itself)
        site.loop.after(site.delay(), self._arrive, operation, answer)
        return await answer

    def _arrive(self, operation: Callable[[], Answer], answer: "asyncio.Future[Answer]") -> None:
        site = self._site
        if site.frozen or self._process.name in site.parted:
            site.lifts.append(lambda: self._arrive(operation, answer))
            self._lose(answer)
            return
        weather, fate = site.weather, site.random.random()
        if site.down or fate < weather.refused:
            self._answer(answer, self._away("refused"), None)
            return
        fate -= weather.refused
        if fate < weather.hanging:
            site.hanging += 1
            late = site.patience * (0.5 + site.random.random())
            site.loop.after(late, self._carry_out_late, operation, answer)
            self._lose(answer)
            return
        self._carry_out(operation, answer, lost=fate - weather.hanging < weather.unanswered)

    def _carry_out_late(self, operation: Callable[[], Answer], answer: "asyncio.Future[Answer]") -> None:
        self._site.hanging -= 1
        self._carry_out(operation, answer)

    def _carry_out(self, operation: Callable[[], Answer], answer: "asyncio.Future[Answer]", lost: bool = False) -> None:
        result, error = None, None
        try:
            result = operation()
        except Exception as raised:
            error = raised
        if lost:
            self._answer(answer, self._away("the answer was lost"), None)
        else:
            self._answer(answer, error, result)

    def _answer(self, answer: "asyncio.Future[Answer]", error: Exception | None, result: Any) -> None:
        self._site.loop.after(self._site.delay(), _settle, answer, error, result)

    def _lose(self, answer: "asyncio.Future[Answer]") -> None:
        """Nobody answers: after a while the caller gives up."""
        error = self._away("no answer in time")
        self._site.loop.after(self._site.patience, _settle, answer, error, None)


def _settle(answer: "asyncio.Future[Any]", error: Exception | None, result: Any) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)
