"""The loop that keeps sessions busy, through outages of Redis and Postgres."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.claims import Claims
from taskyard_core.storage.hint_stream import HintStream
from taskyard_core.storage.hints import CancelRequested, LanesFilled
from taskyard_core.storage.lanes import LaneStore, Page
from taskyard_core.storage.transaction import Transactions
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.dispatch.board import LaneBoard
from taskyard_dispatcher.dispatch.claiming import Claiming
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
        consumer: str,
        claiming: Claiming,
        board: LaneBoard,
        lanes: LaneStore,
        claims: Claims,
        transactions: Transactions,
        upkeep: Upkeep,
        clock: Clock,
        woken: asyncio.Event,
        timing: DispatchTiming = DispatchTiming(),
    ) -> None:
        self._timing = timing
        self._consumer = consumer
        self._claiming = claiming
        self._board = board
        self._lanes = lanes
        self._claims = claims
        self._transactions = transactions
        self._upkeep = upkeep
        self._clock = clock
        self._woken = woken
        self._redis_away = False
        self._walk = Walk(lanes.page, board)
        self._table_walk = Walk(lambda after: claims.lanes(after, LANES), board)

    async def run(self) -> None:
        """Dispatch for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._poll())
            group.create_task(self._reclaim())
            while True:
                self._woken.clear()
                await self.run_once()
                await self._wait(self._timing.away_poll if self._redis_away else self._timing.poll)

    async def run_once(self) -> None:
        """Fill free slots until nothing waits."""
        try:
            await self._until_postgres_answers()
            if self._redis_away:
                await self._table_walk.step()
                self._board.learn(self._board.served(LANES))
                while await self._claiming.from_postgres() and not self._claiming.interrupted:
                    pass
            else:
                # Looked at after each read: claims fail in the background, and each failure frees slots to read for.
                while await self._claiming.from_lanes() and not self._claiming.interrupted:
                    pass
        except StoreUnavailable as error:
            if error.store == "redis":
                self._do_without_redis(error)
            else:
                _log.warning("dispatch waits: %s", error)
                self._claiming.interrupted = True

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
        while self._claiming.interrupted:
            try:
                await self._transactions.ping()
            except StoreUnavailable:
                await self._clock.sleep(self._timing.away_poll)
            else:
                self._claiming.interrupted = False

    async def _poll(self) -> None:
        """Learn all lanes, some at a time, since hints can be lost; also notices when Redis is back."""
        while True:
            try:
                await self._lanes.check_takes_entries()
                await self._walk.step()
                if self._redis_away:
                    _log.info("dispatching from the lanes again")
                    self._board.wake_all()
                self._redis_away = False
            except StoreUnavailable as error:
                self._do_without_redis(error)
            self._woken.set()
            await self._clock.sleep(self._timing.poll)

    def _do_without_redis(self, error: StoreUnavailable) -> None:
        if not self._redis_away:
            _log.warning("dispatching from Postgres: %s", error)
            self._redis_away = True
            self._woken.set()

    async def _reclaim(self) -> None:
        while True:
            await self._clock.sleep(self._timing.reclaim_interval)
            try:
                free = self._board.free_slots()
                # While Postgres is away nothing could be claimed, and reading makes entries wait anew.
                if free and not self._redis_away and not self._claiming.interrupted:
                    entries = await self._lanes.reclaim(
                        self._consumer, self._board.served(LANES), int(self._timing.reclaim_idle * 1000), free
                    )
                    await self._claiming.offer(entries)
            except StoreUnavailable as error:
                _log.info("reclaim waits: %s", error)
