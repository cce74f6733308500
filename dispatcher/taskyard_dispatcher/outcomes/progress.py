"""Progress that handlers report: the newest of each attempt is stored now and then."""

import logging
from collections.abc import Iterable

import orjson

from taskyard_core.domain.task import AttemptKey
from taskyard_core.domain.text import cut, storable
from taskyard_core.runtime.clock import Clock
from taskyard_core.storage.changes import Changes
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.wire.gen.worker_service_pb2 import TaskProgress
from taskyard_dispatcher.sessions.state import Session
from taskyard_dispatcher.timing import OutcomeTiming

_log = logging.getLogger(__name__)

MESSAGE_LENGTH = 1000


class ProgressReports:
    """Collects progress and writes it in one statement now and then; nothing depends on it."""

    def __init__(self, changes: Changes, clock: Clock, timing: OutcomeTiming = OutcomeTiming()) -> None:
        self._changes = changes
        self._clock = clock
        self._interval = timing.progress_interval
        self._newest: dict[AttemptKey, str] = {}

    def add(self, session: Session, reports: Iterable[TaskProgress]) -> None:
        """Take reports of attempts that the session runs; others are dropped."""
        for report in reports:
            if session.runs(report.task_id, report.attempt):
                said = {
                    "fraction": min(1.0, max(0.0, report.progress.fraction)),
                    "message": storable(cut(report.progress.message, MESSAGE_LENGTH)),
                }
                self._newest[report.task_id, report.attempt] = orjson.dumps(said).decode()

    async def run_once(self) -> None:
        """Write what came since the last time."""
        newest, self._newest = self._newest, {}
        if newest:
            try:
                await self._changes.record_progress([(*attempt, said) for attempt, said in newest.items()])
            except StoreUnavailable as error:
                _log.info("progress dropped: %s", error)

    async def run(self) -> None:
        """Write again and again."""
        while True:
            await self._clock.sleep(self._interval)
            await self.run_once()
