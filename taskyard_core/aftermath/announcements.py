"""Tells whoever waits for tasks that they are finished."""

import logging
from collections.abc import Sequence

from taskyard_core.runtime.background import Background
from taskyard_core.runtime.batcher import Batcher
from taskyard_core.storage.hints import Hints
from taskyard_core.storage.unavailable import StoreUnavailable

_log = logging.getLogger(__name__)


class Announcements:
    """Publishes ids of tasks that became terminal, merged while the last message is under way.

    They are hints: who waits looks into Postgres now and then as well.
    """

    def __init__(self, hints: Hints) -> None:
        self._hints = hints
        self._batcher = Batcher(self._publish, size=5000)
        self._background = Background()

    def finished(self, ids: Sequence[str]) -> None:
        """Announce without waiting."""
        if ids:
            self._background.start(self._batcher.add(ids))

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._background.close()

    async def _publish(self, ids: list[str]) -> list[None]:
        try:
            await self._hints.tasks_finished(ids)
        except StoreUnavailable as error:
            _log.debug("%d endings not announced: %s", len(ids), error)
        return [None] * len(ids)
