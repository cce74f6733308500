"""What the leader notes about the lanes, within a transaction that holds its term."""

from collections.abc import Sequence

from scheduler.storage.postgres.database import Connection
from scheduler.storage.postgres.queries import load


async def forget_outbox(connection: Connection, ids: Sequence[int]) -> None:
    """Delete outbox rows whose entries are in the lanes."""
    await connection.execute(load("delete_outbox"), ids)


async def note_lane_epoch(connection: Connection, epoch: str) -> None:
    """All QUEUED tasks were published to the lanes of this epoch."""
    await connection.execute(load("note_lane_epoch"), epoch)
