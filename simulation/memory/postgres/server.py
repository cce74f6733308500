"""The task store in memory, as a server: tables, a clock, locks of open transactions, and somebody who watches."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from simulation.memory.postgres.tables import AttemptRow, DispatcherRow, LeaderRow, SessionRow, Tables, TaskRow

if TYPE_CHECKING:
    from simulation.memory.postgres.work import Work

Watched = TaskRow | AttemptRow | SessionRow | LeaderRow | DispatcherRow


class Change(NamedTuple):
    """A committed change of a row of a watched table; what triggers of Postgres would tell.

    `seq` rises by one with each. `old` is None for an insert, `new` for a delete. `term` is the leader's under which a
    duty made the change, None where no duty did.
    """

    seq: int
    at: float
    transaction: int
    application: str
    term: int | None
    old: Any
    new: Any


Observer = Callable[[Change], None]


class Lock:
    """Who holds a row: one transaction to change it, or several so that nobody does."""

    __slots__ = ("exclusive", "holders")

    def __init__(self) -> None:
        self.holders: list[Work] = []
        self.exclusive = False


class TaskServer:
    """Stands for one Postgres. `time` is its wall clock, in seconds since the epoch.

    Open transactions are measured on the event loop's clock, as Postgres measures them on its machine's.
    """

    def __init__(self, time: Callable[[], float], observer: Observer | None = None) -> None:
        self.time = time
        self.observer = observer
        self.tables = Tables()
        self.locks: dict[tuple[str, Any], Lock] = {}
        self._seq = 0
        self._transactions = 0
        self._outbox_ids = 0
        self._open: dict[int, Work] = {}

    def began(self, work: "Work") -> int:
        """The number of a new transaction."""
        self._transactions += 1
        if work.lasting:
            self._open[self._transactions] = work
        return self._transactions

    def ended(self, work: "Work") -> None:
        """It was committed or undone."""
        self._open.pop(work.number, None)

    def next_outbox_id(self) -> int:
        """As the table's identity column counts: numbers of what is undone are not given again."""
        self._outbox_ids += 1
        return self._outbox_ids

    def tell(self, work: "Work", old: Watched | None, new: Watched | None) -> None:
        """Let the observer know of a committed change."""
        self._seq += 1
        if self.observer is not None:
            self.observer(Change(self._seq, self.time(), work.number, work.application, work.term, old, new))

    def awaited(self) -> int:
        """How many wait for what an open transaction holds."""
        return sum(work.awaited for work in self._open.values())

    def hang_up(self, application: str) -> None:
        """A client is gone with its connections: undo what it has not committed, be it waiting for a row or idle."""
        for work in list(self._open.values()):
            if work.application == application:
                work.abort()

    def crash(self) -> None:
        """Undo all that is not committed, as Postgres does when it starts again."""
        for work in list(self._open.values()):
            work.abort()


def now() -> float:
    """Seconds on the event loop's clock."""
    return asyncio.get_running_loop().time()
