"""Worker sessions as Postgres knows them: the generation of each decides who may claim for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

from scheduler.storage.postgres.claims import Claimed
from scheduler.storage.postgres.database import Connection, Database
from scheduler.storage.postgres.queries import load


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRecord:
    """What a worker says of itself, and the dispatcher that it says it to."""

    id: str
    namespace: str
    worker: str
    dispatcher: str
    types: Sequence[str]
    queues: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    slots: int
    pod: str = ""
    node: str = ""
    sdk: str = ""
    version: str = ""
    pid: int = 0
    draining: bool = False


class LiveSession(NamedTuple):
    """A session that nobody has given up yet; `age` is seconds since its last hello."""

    id: str
    generation: int
    dispatcher: str
    age: float


class Held(NamedTuple):
    """A RUNNING task of a session; a cancel may have been asked for."""

    task: Claimed
    cancel_requested: bool


class RunningRef(NamedTuple):
    """An attempt that a session runs."""

    session: str
    task_id: str
    attempt: int
    cancel_requested: bool


class NamespaceMismatch(Exception):
    """The session id belongs to a worker of another namespace."""


class Sessions:
    """Reads and writes the session table."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def hello(self, record: SessionRecord) -> int:
        """Store the session, alive; returns its new generation. Raises NamespaceMismatch, StoreUnavailable."""
        found = await self._database.fetch(
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
        )
        if not found:
            raise NamespaceMismatch(record.id)
        return int(found[0][0])

    async def drain(self, session: str, generation: int) -> None:
        """Note that the worker wants no more tasks."""
        await self._database.fetch(
            "UPDATE taskyard.session SET draining = true WHERE id = $1 AND generation = $2", session, generation
        )

    async def end(self, connection: Connection, session: str, generation: int, reason: str) -> bool:
        """Give the session up; False if it has said hello again or was given up before."""
        return bool(await connection.fetch(load("session_end"), session, generation, reason))

    async def held(self, session: str, connection: Connection | None = None) -> list[Held]:
        """The tasks it runs. With a connection they stay locked for its transaction."""
        if connection is not None:
            found = await connection.fetch(load("session_running"), session)
        else:
            found = await self._database.fetch(load("session_running"), session)
        return [Held(Claimed(str(r[0]), r[1], str(r[2]), *r[3:11]), r[11]) for r in (tuple(row) for row in found)]

    async def generations(self, sessions: Sequence[str]) -> dict[str, int]:
        """The current generation of each of the sessions; 0 for one that was given up."""
        found = await self._database.fetch(
            "SELECT id, CASE WHEN live THEN generation ELSE 0 END FROM taskyard.session WHERE id = ANY ($1::uuid[])",
            sessions,
        )
        return {str(row[0]): row[1] for row in found}

    async def running(self, sessions: Sequence[str], age: float) -> list[RunningRef]:
        """What these sessions run, as far as it started at least `age` seconds ago."""
        found = await self._database.fetch(load("sessions_running"), sessions, age)
        return [RunningRef(str(row[0]), str(row[1]), row[2], row[3]) for row in found]

    async def live(self) -> list[LiveSession]:
        """All sessions that are alive as far as Postgres knows."""
        found = await self._database.fetch(
            "SELECT id, generation, dispatcher, extract(epoch FROM now() - connected_at)::float8"
            " FROM taskyard.session WHERE live ORDER BY id"
        )
        return [LiveSession(str(row[0]), row[1], row[2], row[3]) for row in found]
