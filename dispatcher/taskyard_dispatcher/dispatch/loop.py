"""The loop that keeps sessions busy, through outages of Redis and Postgres."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.hint_stream import HintStream
from taskyard_core.storage.hints import CancelRequested, LanesFilled
from taskyard_core.storage.lanes import LaneStore, Page
from taskyard_core.storage.queued import QueuedTasks
from taskyard_core.storage.transaction import Transactions
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.dispatch.board import LaneBoard
from taskyard_dispatcher.dispatch.outages import Outages
from taskyard_dispatcher.dispatch.pipeline import fill
from taskyard_dispatcher.dispatch.sources import LaneSource, TableSource
from taskyard_dispatcher.outcomes.upkeep import Upkeep
from taskyard_dispatcher.timing import DispatchTiming

_log = logging.getLogger(__name__)

LANES = 1000
"""Most lanes that one poll, one look into Postgres or one reclaim goes through; the others follow in the next."""


class Walk:
    """Goes through a list of lanes again and again, a page each step, and tells the board what is in it."""

    def __init__(self, page: Callable[[str], Awaitable[Page]], board: LaneBoard) -> None:
        self._page = page
        self._board = board
        self._position = ""
        # Walks through the whole list are numbered by how often one was asked for.
        self._asked = 1
        self._begun = self._walked = 0

    def hurry(self) -> None:
        """The next step goes through the whole list: many lanes may be new."""
        self._asked += 1

    async def step(self) -> None:
        """Read the next page, or all of them where that was asked for; raises StoreUnavailable."""
        while True:
            if not self._position:
                self._begun = self._asked
            names, self._position = await self._page(self._position)
            self._board.learn(names)
            if not self._position:
                self._board.walked()
                self._walked = self._begun
            if self._walked == self._asked:
                return


class Dispatching:
    """Reads lanes when something may wait in them and slots are free.

    `woken` is set by whoever frees a slot or learns that something may wait.
    """

    def __init__(
        self,
        *,
        from_lanes: LaneSource,
        from_tables: TableSource,
        outages: Outages,
        board: LaneBoard,
        lanes: LaneStore,
        queued: QueuedTasks,
        transactions: Transactions,
        upkeep: Upkeep,
        clock: Clock,
        woken: asyncio.Event,
        timing: DispatchTiming = DispatchTiming(),
    ) -> None:
        self._timing = timing
        self._from_lanes = from_lanes
        self._from_tables = from_tables
        self._outages = outages
        self._board = board
        self._lanes = lanes
        self._transactions = transactions
        self._upkeep = upkeep
        self._clock = clock
        self._woken = woken
        self._walk = Walk(lanes.page, board)
        self._table_walk = Walk(lambda after: queued.lanes(after, LANES), board)

    async def run(self) -> None:
        """Dispatch for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._poll())
            group.create_task(self._reclaim())
            while True:
                self._woken.clear()
                await self.run_once()
                await self._wait(self._timing.away_poll if self._outages.redis else self._timing.poll)

    async def run_once(self) -> None:
        """Fill free slots until nothing waits."""
        try:
            await self._until_postgres_answers()
            if self._outages.redis:
                await self._table_walk.step()
                self._board.learn(self._board.served(LANES))
            source = self._from_tables if self._outages.redis else self._from_lanes
            while await fill(self._board, source, self._outages):
                pass
        except StoreUnavailable as error:
            self._outages.began(error)
            if error.store == "redis":
                # The tables are looked at instead, at once.
                self._woken.set()

    async def listen(self, hints: HintStream) -> None:
        """Follow hints for ever."""
        async for hint in hints:
            if isinstance(hint, LanesFilled):
                self._board.learn(hint.names)
            elif isinstance(hint, CancelRequested):
                self._upkeep.cancel(hint.ids)
                continue
            else:
                self._board.wake_all()
                self._walk.hurry()
            self._woken.set()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _until_postgres_answers(self) -> None:
        """Entries must not be read while they cannot be claimed: they would all end up pending."""
        while self._outages.postgres:
            try:
                await self._transactions.ping()
            except StoreUnavailable:
                await self._clock.sleep(self._timing.away_poll)
            else:
                self._outages.ended("postgres")

    async def _poll(self) -> None:
        """Learn all lanes, some at a time, since hints can be lost; also notices when Redis is back."""
        while True:
            try:
                await self._lanes.check_takes_entries()
                await self._walk.step()
                if self._outages.redis:
                    self._board.wake_all()
                self._outages.ended("redis")
            except StoreUnavailable as error:
                self._outages.began(error)
            self._woken.set()
            await self._clock.sleep(self._timing.poll)

    async def _reclaim(self) -> None:
        while True:
            await self._clock.sleep(self._timing.reclaim_interval)
            try:
                # While Postgres is away nothing could be claimed, and reading makes entries wait anew.
                if not self._outages.redis and not self._outages.postgres:
                    await self._from_lanes.reclaim(self._board.served(LANES), self._timing.reclaim_idle)
            except StoreUnavailable as error:
                _log.info("reclaim waits: %s", error)
