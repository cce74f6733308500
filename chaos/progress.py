"""Lines that say how a run is going."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import NamedTuple

import asyncpg

from chaos.backends.cluster import Cluster
from chaos.execution import Execution
from chaos.history.events import Phase, Submit
from chaos.history.journal import Event, Journal

EVERY_SECONDS = 5.0
ASK_SECONDS = 2.0
# One index each; tasks that have ended are in none of them. What abusers leave behind expires.
UNFINISHED = """
SELECT (SELECT count(*) FROM taskyard.task WHERE state = 'QUEUED' AND namespace <> 'abuse') AS queued,
       (SELECT count(*) FROM taskyard.task WHERE state = 'RUNNING' AND namespace <> 'abuse') AS running,
       (SELECT count(*) FROM taskyard.task WHERE state = 'SCHEDULED' AND namespace <> 'abuse') AS scheduled
"""


class Unfinished(NamedTuple):
    """Tasks that have not ended."""

    queued: int
    running: int
    scheduled: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.queued + self.running + self.scheduled


class CountingJournal(Journal):
    """A journal that also counts accepted submissions."""

    accepted = 0

    def append(self, *events: Event) -> None:
        """See Journal."""
        super().append(*events)
        self.accepted += sum(
            isinstance(event, Submit) and event.phase == Phase.OK and not event.deduplicated for event in events
        )


async def unfinished(cluster: Cluster) -> Unfinished | None:
    """What is left to do; None while Postgres doesn't say."""
    with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        async with asyncio.timeout(ASK_SECONDS):
            [row] = await cluster.postgres_execute(UNFINISHED)
            return Unfinished(**row)
    return None


async def tell(
    cluster: Cluster, journal: CountingJournal, execution: Execution, *, origin: float, say: Callable[[str], None]
) -> None:
    """Says every few seconds how it stands, until cancelled."""
    before, told = 0, journal.now()
    while True:
        await asyncio.sleep(EVERY_SECONDS)
        left, now = await unfinished(cluster), journal.now()
        say(line(now - origin, journal.accepted, (journal.accepted - before) / (now - told), left, execution))
        before, told = journal.accepted, now


def line(at: float, accepted: int, rate: float, left: Unfinished | None, execution: Execution) -> str:
    """One line of progress."""
    ended = "?" if left is None else f"{max(0, accepted - left.total):,}"
    queued = "?" if left is None else f"{left.queued:,}"
    minutes, seconds = divmod(int(at), 60)
    return (
        f"{minutes:3}:{seconds:02}  accepted {accepted:,} ({rate:.0f}/s)  ended {ended}  queued {queued}  "
        f"faults {execution.done}  now: {', '.join(execution.current.values()) or 'calm'}"
    )
