"""Bringing tasks into states that only workers bring them into."""

import random
import uuid
from collections.abc import Sequence

from taskyard_core.domain.task import TaskError
from taskyard_core.domain.transitions import Event, Failed, Snapshot, Succeeded, decide
from taskyard_core.storage.claims import Bid
from taskyard_core.storage.postgres.changes import Changes
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.sessions import Sessions
from taskyard_core.storage.postgres.tasks import StoredTasks
from taskyard_core.storage.sessions import SessionRecord


class Stage:
    """Plays one worker and its dispatcher, straight on the tables."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.session = str(uuid.uuid4())
        self._changes = Changes(database)
        self._stored = StoredTasks(database)

    async def hello(self, namespace: str, worker: str = "worker-1") -> None:
        record = SessionRecord(
            id=self.session,
            namespace=namespace,
            worker=worker,
            dispatcher="dispatcher-1",
            types=["demo.echo"],
            labels={"io": "ssd"},
            slots=4,
            pod="pod-1",
            sdk="python/0.1.0",
            pid=42,
        )
        await Sessions(self.database).adopt(record)

    async def run(self, ids: Sequence[str]) -> None:
        bids = [Bid(i, (await self.snapshot(i)).attempt, self.session) for i in ids]
        claimed = await self._changes.claim(bids, {self.session: 1})
        assert {claim.task_id for claim in claimed} == set(ids)

    async def succeed(self, task_id: str, result: bytes = b"null") -> None:
        await self.end(task_id, Succeeded(result))

    async def fail(self, task_id: str, error_type: str = "ValueError") -> None:
        await self.end(task_id, Failed(TaskError(error_type, "no", "trace", retryable=False)))

    async def snapshot(self, task_id: str) -> Snapshot:
        found = await self._stored.decidable(task_id)
        assert found is not None
        return found.snapshot

    async def count(self, table: str) -> int:
        rows = await self.database.fetch(f"SELECT count(*) FROM taskyard.{table}")
        return int(rows[0][0])

    async def end(self, task_id: str, event: Event) -> None:
        applied = await self._changes.apply([decide(await self.snapshot(task_id), event, random.random)])
        assert [change.transition.id for change in applied.moved] == [task_id]
