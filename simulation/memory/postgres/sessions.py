"""Worker sessions: session_hello.sql, session_end.sql, session_running.sql and the like in memory."""

import hmac
from collections.abc import Collection, Sequence

from simulation.memory.postgres import dispatchers, workers
from simulation.memory.postgres.claims import claimed
from simulation.memory.postgres.client import Client
from simulation.memory.postgres.tables import SessionRow
from simulation.memory.postgres.work import Work
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.task import AttemptKey, TaskState
from taskyard_core.storage.claims import CLAIM_BYTES
from taskyard_core.storage.dispatchers import DispatcherNote, Peer
from taskyard_core.storage.sessions import (
    Held,
    Host,
    LiveSession,
    NamespaceMismatch,
    RunningRef,
    SecretMismatch,
    SessionRecord,
)
from taskyard_core.storage.workers import Worker, WorkerPlace


class Sessions:
    """See taskyard_core.storage.sessions."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def adopt(self, record: SessionRecord, known: Collection[AttemptKey] = ()) -> tuple[int, list[Held]]:
        """Store the session, alive; its new generation and what it runs. Raises NamespaceMismatch, SecretMismatch."""
        return await self._client.run(
            lambda work: (_hello(work, record), held_within(work, record.id, known, CLAIM_BYTES))
        )

    async def renew(self, session: str, generation: int) -> int | None:
        """Begin the session's next generation; None if this one was over."""
        return await self._client.run(lambda work: _renew(work, session, generation))

    async def drain(self, session: str, generation: int) -> None:
        """Note that the worker wants no more tasks."""
        await self._client.run(lambda work: _drain(work, session, generation))

    async def held(self, session: str, known: Collection[AttemptKey] = ()) -> list[Held]:
        """The tasks it runs, by id; payloads of those alone that are not known, until they carry CLAIM_BYTES."""
        return await self._client.run(lambda work: held_within(work, session, known, CLAIM_BYTES))

    async def generations(self, sessions: Sequence[str]) -> dict[str, int]:
        """The current generation of each of the sessions; 0 for one that was given up."""
        return await self._client.run(lambda work: _generations(work, sessions))

    async def running(self, sessions: Sequence[str], age: float) -> list[RunningRef]:
        """What these sessions run, as far as it started at least `age` seconds ago."""
        return await self._client.run(lambda work: _running(work, sessions, age))

    async def live(self, dispatcher: str | None = None) -> list[LiveSession]:
        """All sessions that nobody has given up, or those of a dispatcher, by id."""
        return await self._client.run(lambda work: _live(work, dispatcher))

    async def workers(
        self, namespace: str | None, after: WorkerPlace | None, limit: int
    ) -> tuple[list[Worker], WorkerPlace | None]:
        """Workers by name, or those of a namespace: up to `limit` after a place, and the last one's."""
        return await self._client.run(lambda work: workers.page(work, namespace, after, limit))

    async def capabilities(self, most: int) -> list[Capabilities]:
        """What workers that take tasks can do, each once, at most so many."""
        return await self._client.run(lambda work: workers.capabilities(work)[:most])

    async def vouch(self, note: DispatcherNote) -> list[Peer]:
        """Write it down; returns the others."""
        return await self._client.run(lambda work: dispatchers.note(work, note))

    async def leave(self, dispatcher: str) -> None:
        """Answer for nobody any more."""
        await self._client.run(lambda work: work.put(work.tables.dispatchers, dispatcher, None))


def end_within(work: Work, session: str, generation: int, reason: str) -> Host | None:
    """Give a session up, unless it has said hello again since or was given up before."""
    row = work.get(work.tables.sessions, session)
    if row is None or row.generation != generation or not row.live:
        return None
    work.lock(work.tables.sessions, session)
    work.put(work.tables.sessions, session, row._replace(live=False, ended_at=work.time, end_reason=reason))
    return Host(row.record.worker, row.record.pod)


def held_within(work: Work, session: str, known: Collection[AttemptKey] = (), payload_bytes: int = 0) -> list[Held]:
    """The tasks that a session runs, by id, locked, with so much of the payloads that it lacks."""
    found: list[Held] = []
    carried = 0
    for row in sorted(row for row in work.tasks(TaskState.RUNNING) if row.session == session):
        work.lock(work.tables.tasks, row.id)
        task, is_known = claimed(row, work.time), (row.id, row.attempt) in known
        unread = not is_known and carried >= payload_bytes
        if is_known or unread:
            task = task._replace(payload=b"")
        carried += len(task.payload or b"")
        found.append(Held(task, row.cancel_requested, unread))
    return found


def _hello(work: Work, record: SessionRecord) -> int:
    work.lock(work.tables.sessions, record.id)
    former = work.get(work.tables.sessions, record.id)
    if former is not None and former.record.namespace != record.namespace:
        raise NamespaceMismatch(record.id)
    expected = former.record.secret_hash if former else None
    if expected is not None and not hmac.compare_digest(expected, record.secret_hash or b""):
        raise SecretMismatch(record.id)
    generation = former.generation + 1 if former else 1
    row = SessionRow(record.id, generation, True, record, record.draining, work.time)
    work.put(work.tables.sessions, record.id, row)
    return generation


def _renew(work: Work, session: str, generation: int) -> int | None:
    row = work.get(work.tables.sessions, session)
    if row is None or row.generation != generation or not row.live:
        return None
    work.lock(work.tables.sessions, session)
    work.put(work.tables.sessions, session, row._replace(generation=generation + 1))
    return generation + 1


def _drain(work: Work, session: str, generation: int) -> None:
    row = work.get(work.tables.sessions, session)
    if row is not None and row.generation == generation:
        work.lock(work.tables.sessions, session)
        work.put(work.tables.sessions, session, row._replace(draining=True))


def _generations(work: Work, sessions: Sequence[str]) -> dict[str, int]:
    rows = (work.get(work.tables.sessions, session) for session in sessions)
    return {row.id: row.generation if row.live else 0 for row in rows if row is not None}


def _running(work: Work, sessions: Sequence[str], age: float) -> list[RunningRef]:
    wanted, before = set(sessions), work.time - age
    return [
        RunningRef(row.session, row.id, row.attempt, row.cancel_requested)
        for row in work.tasks(TaskState.RUNNING)
        if row.session in wanted and row.session and row.started_at is not None and row.started_at < before
    ]


def _live(work: Work, dispatcher: str | None) -> list[LiveSession]:
    found = (row for row in work.tables.sessions.rows.values() if row.live)
    rows = sorted((row for row in found if dispatcher in (None, row.record.dispatcher)), key=lambda row: row.id)
    return [_alive(work, row) for row in rows]


def _alive(work: Work, row: SessionRow) -> LiveSession:
    dispatcher = work.get(work.tables.dispatchers, row.record.dispatcher)
    vouched = None if dispatcher is None else work.time - dispatcher.seen_at
    return LiveSession(row.id, row.generation, row.record.dispatcher, work.time - row.connected_at, vouched)
