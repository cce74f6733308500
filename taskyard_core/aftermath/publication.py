"""From the outbox to the lanes: what became QUEUED in a committed transaction is published right after it.

Nobody waits for it. Where it fails, the outbox row stays, and the leader publishes it later; published twice, an entry
dies at its claim.
"""

import logging
from typing import NamedTuple

from taskyard_core.runtime.background import Background
from taskyard_core.runtime.batcher import Batcher
from taskyard_core.storage.lanes import Entries, LaneStore
from taskyard_core.storage.queued import QueuedTasks
from taskyard_core.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)


class _Batch(NamedTuple):
    outbox_id: int
    entries: Entries


class Publication:
    """Publishes committed entries and then forgets their outbox rows, both in batches."""

    def __init__(self, lanes: LaneStore, outbox: QueuedTasks) -> None:
        self._lanes = lanes
        self._outbox = outbox
        self._publish = Batcher(self._flush, size=1000, parallel=2)
        self._forget = Batcher(self._delete, size=1000)
        self._background = Background()

    def publish_soon(self, outbox_id: int, entries: Entries) -> None:
        """Publish without being waited for."""
        self._background.start(self.publish(outbox_id, entries))

    async def publish(self, outbox_id: int, entries: Entries) -> None:
        """Publish, then delete the row; a store that is away is logged, since the leader will do it again."""
        try:
            await self._publish.add([_Batch(outbox_id, entries)])
            await self._forget.add([outbox_id])
        except StoreUnavailable as error:
            _log.warning("left in the outbox: %s", error)

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._background.close()

    async def _flush(self, batches: list[_Batch]) -> list[None]:
        if len(batches) == 1:
            await self._lanes.publish(batches[0].entries)
        else:
            merged: Entries = {}
            for batch in batches:
                for lane, entries in batch.entries.items():
                    merged.setdefault(lane, []).extend(entries)
            await self._lanes.publish(merged)
        return [None] * len(batches)

    async def _delete(self, ids: list[int]) -> list[None]:
        await self._outbox.published(ids)
        return [None] * len(ids)
