"""Accepting tasks: durable when `submit` returns."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from taskyard_core.storage import codec
from taskyard_core.storage.postgres.database import Connection, Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.retrying import retried
from taskyard_core.storage.submissions import Conflict, NewTask, Receipt, Submitted


@dataclass(frozen=True, slots=True)
class _Owner:
    task_id: str
    hash: bytes | None
    written: bytes
    created_at: datetime | None


class Submissions:
    """Writes batches of new tasks; see taskyard_core.storage.submissions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def submit(self, batch: Sequence[NewTask]) -> Receipt:
        """Store the batch in one transaction; raises StoreUnavailable."""
        if any(new.spec.idempotency_key for new in batch):
            return await retried(lambda: self._submit_keyed(batch))
        row = (await self._database.fetch(load("submit"), *_columns(batch)))[0]
        created = row["created_at"]
        return Receipt([Submitted(new.id, created) for new in batch], row["outbox_id"])

    async def _submit_keyed(self, batch: Sequence[NewTask]) -> Receipt:
        async with self._database.transaction("insert_keys", "key_owners", "submit") as connection:
            owners = await _take_keys(connection, batch)
            fresh = [new for new in batch if _owner(owners, new) in (None, new.id)]
            row = (await connection.fetch(load("submit"), *_columns(fresh)))[0]
        outcomes = [_outcome(new, owners, row["created_at"]) for new in batch]
        return Receipt(outcomes, row["outbox_id"])


async def _take_keys(connection: Connection, batch: Sequence[NewTask]) -> dict[tuple[str, str], _Owner]:
    """Who owns each key of the batch, after trying to take all of them for their first user in it."""
    firsts: dict[tuple[str, str], NewTask] = {}
    for new in batch:
        if new.spec.idempotency_key:
            firsts.setdefault((new.spec.namespace, new.spec.idempotency_key), new)
    wanted = list(firsts.items())
    taken = await connection.fetch(
        load("insert_keys"),
        [namespace for (namespace, _), _ in wanted],
        [key for (_, key), _ in wanted],
        [new.written for _, new in wanted],
        [new.hash for _, new in wanted],
        [new.id for _, new in wanted],
    )
    mine = {str(row["task_id"]) for row in taken}
    owners = {slot: _Owner(new.id, new.hash, new.written, None) for slot, new in wanted if new.id in mine}
    lost = [slot for slot, new in wanted if new.id not in mine]
    if lost:
        found = await connection.fetch(load("key_owners"), [slot[0] for slot in lost], [slot[1] for slot in lost])
        for row in found:
            owner = _Owner(str(row["task_id"]), row["meaning"], row["request_hash"], row["created_at"])
            owners[row["namespace"], row["key"]] = owner
    return owners


def _slot(new: NewTask) -> tuple[str, str] | None:
    return (new.spec.namespace, new.spec.idempotency_key) if new.spec.idempotency_key else None


def _owner(owners: dict[tuple[str, str], _Owner], new: NewTask) -> str | None:
    slot = _slot(new)
    return owners[slot].task_id if slot else None


def _outcome(new: NewTask, owners: dict[tuple[str, str], _Owner], created: datetime) -> Submitted | Conflict:
    slot = _slot(new)
    if slot is None or owners[slot].task_id == new.id:
        return Submitted(new.id, created)
    owner = owners[slot]
    if not new.repeats(owner.hash, owner.written):
        return Conflict(owner.task_id)
    return Submitted(owner.task_id, owner.created_at or created, deduplicated=True)


def _columns(batch: Sequence[NewTask]) -> list[list[object]]:
    specs = [new.spec for new in batch]
    return [
        [new.id for new in batch],
        [spec.namespace for spec in specs],
        [spec.queue for spec in specs],
        [spec.type for spec in specs],
        [spec.payload for spec in specs],
        [spec.priority for spec in specs],
        [spec.selector for spec in specs],
        ["SCHEDULED" if spec.waits else "QUEUED" for spec in specs],
        [spec.idempotency_key for spec in specs],
        [spec.run_at for spec in specs],
        [spec.delay for spec in specs],
        [spec.expires_at for spec in specs],
        [spec.timeout for spec in specs],
        [codec.dump_retry(spec.retry) if spec.retry else None for spec in specs],
        [spec.traceparent for spec in specs],
        [new.id for new in batch if not new.spec.waits],
    ]
