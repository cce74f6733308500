"""The leader's work: all duties side by side, for one term."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.etcd import Backoff
from taskyard_core.storage.leader import LeaderFence
from taskyard_core.storage.term import TermOver
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.duties.duty import Duty
from taskyard_dispatcher.leadership import Term
from taskyard_dispatcher.timing import DutyTiming

_log = logging.getLogger(__name__)

Enlist = Callable[[], AbstractAsyncContextManager[Sequence[Duty]]]
"""The duties of a new term; leaving the context lets go of what they hold."""


class DutyStalled(Exception):
    """A duty took longer than it may."""


class Rota:
    """What an Elector runs while its dispatcher leads."""

    def __init__(
        self,
        dispatcher: str,
        fence: LeaderFence,
        enlist: Enlist,
        clock: Clock,
        *,
        timing: DutyTiming = DutyTiming(),
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._dispatcher = dispatcher
        self._fence = fence
        self._enlist = enlist
        self._clock = clock
        self._timing = timing
        self._draw = draw

    async def run(self, term: Term) -> None:
        """Record the term, then do all duties until cancelled.

        Raises TermOver once the term cannot be trusted or another leader has taken over, and an ExceptionGroup of what
        a duty raised that is neither that nor a store's outage, DutyStalled among it.
        """
        try:
            await self._begin(term)
            async with self._enlist() as duties, asyncio.TaskGroup() as group:
                for duty in duties:
                    group.create_task(self._serve(duty, term), name=f"duty-{duty.name}")
        except ExceptionGroup as errors:
            over = errors.subgroup(TermOver)
            if over is None:
                raise
            raise TermOver(str(over.exceptions[0])) from errors

    async def _begin(self, term: Term) -> None:
        backoff = self._backoff()
        while True:
            term.require()
            try:
                number = await self._number(term)
                await self._fence.begin(number, self._dispatcher)
            except StoreUnavailable as error:
                _log.warning("a term cannot begin yet: %s", error)
                await self._clock.sleep(backoff.next())
            else:
                term.begin(number)
                return

    async def _number(self, term: Term) -> int:
        """What the term is called: terms rise for ever, revisions of etcd begin anew when it is replaced.

        A revision above every term is from an election after all of theirs. One below is from before, or from an etcd
        that has gone back; which of the two, etcd tells, if it is asked after the newest term was read: whoever is
        elected later reads a newer term, or takes the number first.
        """
        newest = await self._fence.newest()
        if term.revision > newest:
            return term.revision
        if not await term.confirmed():
            raise TermOver(f"elected at revision {term.revision}, before term {newest}")
        rival = await self._fence.led_by(self._timing.leader_alive)
        if rival not in (None, self._dispatcher):
            # As while endpoints are changed in a rolling update: whoever leads goes on while its etcd has candidates.
            _log.warning("%s leads term %d by another etcd; this one waits", rival, newest)
            raise TermOver(f"elected at revision {term.revision}, while {rival} leads term {newest}")
        told = "etcd elects at revision %d, although there was a term %d: it was replaced or restored from a backup;"
        _log.warning(told + " terms go on from there", term.revision, newest)
        return newest + 1

    async def _serve(self, duty: Duty, term: Term) -> None:
        backoff = self._backoff()
        while True:
            term.require()
            try:
                await self._run_bounded(duty, term)
            except StoreUnavailable as error:
                _log.warning("duty waits: %s", error, extra={"duty": duty.name})
                await self._clock.sleep(backoff.next())
            else:
                backoff.reset()
                await self._clock.sleep(duty.interval)

    async def _run_bounded(self, duty: Duty, term: Term) -> None:
        try:
            async with asyncio.timeout(self._timing.bound) as limit:
                await duty.run_once(term)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise DutyStalled(f"{duty.name} took longer than {self._timing.bound:.0f} s") from error

    def _backoff(self) -> Backoff:
        return Backoff(first=0.2, longest=self._timing.longest_pause, draw=self._draw)
