"""A transaction of the task store in memory: what it wrote is seen by nobody else until it commits."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from simulation.memory.postgres.server import Lock, TaskServer, now
from simulation.memory.postgres.tables import Key, Row, Table, TaskRow
from taskyard_core.domain.task import TaskState
from taskyard_core.storage.unavailable import NothingDone, StoreUnavailable

Answer = TypeVar("Answer")

IDLE_LIMIT = 2.0
"""Seconds after which an open transaction that does nothing is undone; `idle_in_transaction_session_timeout`."""

_WATCHED = frozenset({"task", "attempt", "session", "leader", "dispatcher"})
_UNTOUCHED: Any = object()


class Busy(Exception):
    """Another transaction holds a row; nothing of the statement was done."""

    def __init__(self, holder: "Work") -> None:
        super().__init__(f"held by transaction {holder.number}")
        self.holder = holder


class Work:
    """What one transaction has written and locked.

    One that is a single statement is over before anybody could see its locks: only a lasting one notes them.
    """

    __slots__ = (
        "_idle_since",
        "_locked",
        "_log",
        "_waiters",
        "_written",
        "application",
        "lasting",
        "number",
        "open",
        "server",
        "tables",
        "term",
        "time",
        "waits_for",
    )

    def __init__(self, server: TaskServer, application: str, *, lasting: bool = False) -> None:
        self.server = server
        self.tables = server.tables
        self.application = application
        self.lasting = lasting
        self.term: int | None = None
        self.number = server.began(self)
        self.time = server.time()
        """The database's clock, which stands still within a transaction."""
        self.open = True
        self.waits_for: Work | None = None
        self._log: list[tuple[Table[Any, Any], Any, Any, Any]] = []
        self._written: dict[tuple[str, Any], Any] = {}
        self._locked: list[tuple[str, Any]] = []
        self._waiters: list[tuple[asyncio.Future[None], Work | None]] = []
        self._idle_since = 0.0

    def get(self, table: Table[Key, Row], key: Key) -> Row | None:
        """The row as this transaction sees it."""
        if self._written:
            row: Row | None = self._written.get((table.name, key), _UNTOUCHED)
            if row is not _UNTOUCHED:
                return row
        return table.rows.get(key)

    def tasks(self, *states: TaskState) -> list[TaskRow]:
        """Tasks of some states, as this transaction sees them."""
        by_state = self.tables.tasks.by_state
        found = [row for state in states for row in by_state[state].values()]
        if not self._written:
            return found
        mine = [row for (name, _), row in self._written.items() if name == "task" and row is not None]
        found = [row for row in found if ("task", row.id) not in self._written]
        return found + [row for row in mine if row.state in states]

    def put(self, table: Table[Key, Row], key: Key, row: Row | None) -> None:
        """Write a row, locked by this transaction; None deletes it."""
        self._log.append((table, key, self.get(table, key), row))
        self._written[table.name, key] = row

    def lock(self, table: Table[Key, Row], key: Key, *, share: bool = False) -> None:
        """Hold a row until the end; raises Busy."""
        locks = self.server.locks
        if not locks and not self.lasting:
            return
        lock = locks.get((table.name, key))
        if lock is not None and (lock.exclusive or not share):
            for holder in list(lock.holders):
                if holder is not self and not holder.expired():
                    raise Busy(holder)
        if self.lasting:
            self._hold((table.name, key), share)

    def try_lock(self, table: Table[Key, Row], key: Key) -> bool:
        """Hold a row unless somebody else does; SKIP LOCKED."""
        try:
            self.lock(table, key)
        except Busy:
            return False
        return True

    def do(self, statement: "Callable[[Work], Answer]") -> Answer:
        """Run a statement, as a whole or not at all; raises Busy, StoreUnavailable."""
        if self.expired():
            raise StoreUnavailable("postgres", "the transaction was undone: it was idle for too long")
        mark = len(self._log)
        try:
            return statement(self)
        except Busy:
            self._undo(mark)
            raise
        except BaseException:
            self.abort()
            raise
        finally:
            if self.lasting:
                self._idle_since = now()

    def commit(self) -> None:
        """Let everybody see what was written, and the observer know of it; raises StoreUnavailable."""
        if self.expired():
            raise StoreUnavailable("postgres", "the transaction was undone: it was idle for too long")
        for table, key, old, new in self._log:
            table.put(key, new)
            if table.name in _WATCHED:
                self.server.tell(self, old, new)
        self._end()

    def abort(self) -> None:
        """Forget what was written."""
        if self.open:
            self._log.clear()
            self._end()

    def expired(self) -> bool:
        """Whether it is over because it did nothing for too long, or was undone; then it holds nothing any more."""
        if self.open and self.lasting and self._idle_since and self.waits_for is None and self.idle_left() <= 0:
            self.abort()
        return not self.open

    @property
    def awaited(self) -> int:
        """How many wait for its end."""
        return sum(not future.done() for future, _ in self._waiters)

    def idle_left(self) -> float:
        """Seconds that it may still do nothing."""
        return max(0.0, self._idle_since + IDLE_LIMIT - now())

    async def over(self, waiter: "Work | None", seconds: float) -> None:
        """Wait until this transaction is over or may be, at most so long.

        Raises NothingDone where it waits, by way of others perhaps, for the waiter itself.
        """
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((future, waiter))
        if waiter is not None:
            self._refuse_circle(waiter)
            waiter.waits_for = self
        try:
            await asyncio.wait([future], timeout=seconds if self.waits_for else min(seconds, self.idle_left()))
        finally:
            future.cancel()
            if waiter is not None:
                waiter.waits_for = None

    def _refuse_circle(self, waiter: "Work") -> None:
        other: Work | None = self
        while other is not None:
            if other is waiter:
                waiter.abort()
                raise NothingDone("postgres", "deadlock detected")
            other = other.waits_for

    def _hold(self, place: tuple[str, Any], share: bool) -> None:
        lock = self.server.locks.setdefault(place, Lock())
        lock.exclusive = lock.exclusive or not share
        if self not in lock.holders:
            lock.holders.append(self)
            self._locked.append(place)

    def _undo(self, mark: int) -> None:
        while len(self._log) > mark:
            table, key, old, _ = self._log.pop()
            self._written[table.name, key] = old

    def _end(self) -> None:
        self.open = False
        self.server.ended(self)
        for place in self._locked:
            lock = self.server.locks[place]
            lock.holders.remove(self)
            if not lock.holders:
                del self.server.locks[place]
        for future, waiter in self._waiters:
            if waiter is not None:
                # It has what it waited for, and is idle until its client goes on.
                waiter.waits_for, waiter._idle_since = None, now()
            if not future.done():
                future.set_result(None)
