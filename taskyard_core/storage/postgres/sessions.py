"""Worker sessions as Postgres knows them: the generation of each decides who may claim for it."""

from collections.abc import Collection, Sequence
from dataclasses import astuple

import asyncpg
import orjson

from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.session_names import public_name
from taskyard_core.domain.task import AttemptKey
from taskyard_core.storage import codec
from taskyard_core.storage.claims import CLAIM_BYTES, Claimed
from taskyard_core.storage.dispatchers import DispatcherNote, Peer
from taskyard_core.storage.postgres.database import Connection, Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.postgres.tasks import plan_for_values
from taskyard_core.storage.retrying import retried
from taskyard_core.storage.sessions import (
    Held,
    LiveSession,
    NamespaceMismatch,
    RunningRef,
    SecretMismatch,
    SessionRecord,
)
from taskyard_core.storage.tasks import PAGE_BYTES
from taskyard_core.storage.workers import Worker, WorkerPlace


class Sessions:
    """The tables of sessions and dispatchers; see taskyard_core.storage.sessions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def adopt(self, record: SessionRecord, known: Collection[AttemptKey] = ()) -> tuple[int, list[Held]]:
        """Store the session, alive; its new generation and what it runs.

        Raises NamespaceMismatch, SecretMismatch, StoreUnavailable.
        """

        async def once() -> tuple[int, list[Held]]:
            async with self._database.transaction("session_hello", "session_known", "session_running") as connection:
                return await _hello(connection, record), await held_within(connection, record.id, known, CLAIM_BYTES)

        return await retried(once)

    async def renew(self, session: str, generation: int) -> int | None:
        """Begin the session's next generation; None if this one was over."""
        found = await self._database.fetch(load("session_renew"), session, generation)
        return int(found[0][0]) if found else None

    async def drain(self, session: str, generation: int) -> None:
        """Note that the worker wants no more tasks."""
        await self._database.fetch(load("session_drain"), session, generation)

    async def held(self, session: str, known: Collection[AttemptKey] = ()) -> list[Held]:
        """The tasks it runs, by id; payloads of those alone that are not known, until they carry CLAIM_BYTES."""
        return _held(await self._database.fetch(load("session_running"), *_wanted(session, known, CLAIM_BYTES)))

    async def generations(self, sessions: Sequence[str]) -> dict[str, int]:
        """The current generation of each of the sessions; 0 for one that was given up."""
        found = await self._database.fetch(load("session_generations"), sessions)
        return {str(row[0]): row[1] for row in found}

    async def running(self, sessions: Sequence[str], age: float) -> list[RunningRef]:
        """What these sessions run, as far as it started at least `age` seconds ago."""
        found = await self._database.fetch(load("sessions_running"), sessions, age)
        return [RunningRef(str(row[0]), str(row[1]), row[2], row[3]) for row in found]

    async def live(self, dispatcher: str | None = None) -> list[LiveSession]:
        """All sessions that nobody has given up, or those of a dispatcher, by id."""
        found = await self._database.fetch(load("live_sessions"), dispatcher)
        return [LiveSession(str(row[0]), *row[1:]) for row in map(tuple, found)]

    async def workers(
        self, namespace: str | None, after: WorkerPlace | None, limit: int
    ) -> tuple[list[Worker], WorkerPlace | None]:
        """Workers by name, or those of a namespace: up to `limit` after a place, and the last one's or None on the last
        page; see taskyard_core.storage.sessions.
        """
        place = after or (None, None, None)
        async with self._database.transaction("live_workers") as connection:
            await plan_for_values(connection)
            found = await connection.fetch(load("live_workers"), namespace, *place, limit, PAGE_BYTES)
        last = found[-1] if found and found[0]["found"] > len(found) else None
        return list(map(_worker, found)), (last["namespace"], last["name"], last["digest"]) if last else None

    async def capabilities(self, most: int) -> list[Capabilities]:
        """What workers that take tasks can do, each once, at most so many."""
        return [
            Capabilities(
                namespace,
                frozenset(codec.strings(types)),
                frozenset(codec.strings(queues)),
                codec.load_labels(labels),
            )
            for namespace, types, queues, labels in await self._database.fetch(load("worker_capabilities"), most)
        ]

    async def vouch(self, note: DispatcherNote) -> list[Peer]:
        """Write it down; returns the others."""
        return [Peer(*row) for row in await self._database.fetch(load("dispatcher_note"), *astuple(note))]

    async def leave(self, dispatcher: str) -> None:
        """Answer for nobody any more."""
        await self._database.fetch(load("dispatcher_leave"), dispatcher)


async def _hello(connection: Connection, record: SessionRecord) -> int:
    found = await connection.fetch(
        load("session_hello"),
        record.id,
        record.namespace,
        record.worker,
        record.pod,
        record.node,
        record.dispatcher,
        orjson.dumps(dict(record.labels)).decode(),
        list(record.types),
        list(record.queues),
        record.slots,
        record.sdk,
        record.version,
        record.pid,
        record.draining,
        record.secret_hash,
    )
    if not found:
        raise await _refusal(connection, record)
    return int(found[0][0])


async def _refusal(connection: Connection, record: SessionRecord) -> NamespaceMismatch | SecretMismatch:
    found = await connection.fetch(load("session_known"), record.id, record.namespace)
    return SecretMismatch(record.id) if found else NamespaceMismatch(record.id)


async def held_within(
    connection: Connection, session: str, known: Collection[AttemptKey] = (), payload_bytes: int = 0
) -> list[Held]:
    """The tasks a session runs, locked for the connection's transaction, with so much of the payloads that it lacks."""
    return _held(await connection.fetch(load("session_running"), *_wanted(session, known, payload_bytes)))


def _wanted(session: str, known: Collection[AttemptKey], payload_bytes: int) -> tuple[object, ...]:
    return session, [task_id for task_id, _ in known], [attempt for _, attempt in known], payload_bytes


def _held(rows: list[asyncpg.Record]) -> list[Held]:
    return [Held(Claimed(str(r[0]), r[1], str(r[2]), *r[3:11]), *r[11:]) for r in map(tuple, rows)]


def _worker(row: asyncpg.Record) -> Worker:
    shown = {name: value for name, value in row.items() if name not in ("id", "digest", "found")}
    read = {
        "session_id": public_name(str(row["id"])),
        "labels": codec.load_labels(row["labels"]),
        "queues": codec.strings(row["queues"]),
        "types": codec.strings(row["types"]),
    }
    return Worker(**shown | read)
