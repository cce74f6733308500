"""What a handler knows about the attempt it runs."""

import asyncio
import enum
import math
import time
from collections.abc import Callable
from datetime import UTC, datetime

from taskyard._gen import worker_service_pb2 as wire
from taskyard.worker.session_state import Key

MAX_PROGRESS_MESSAGE = 1000

ProgressSink = Callable[[Key, float, str], None]


class StopCause(enum.IntEnum):
    """Why a handler is told to stop. A later cause replaces an earlier one only if it is greater."""

    CANCELLED = 1
    SHUTDOWN = 2
    TIMEOUT = 3
    LOST = 4


class Context:
    """One attempt, as its handler sees it. Attributes never change, except `stop_cause`.

    A handler learns of a stop (cancelled by a user, timed out, lost to another worker, worker shutting down) from
    `cancelled`; an async handler is also cancelled the asyncio way.
    """

    __slots__ = (
        "_created",
        "_deadline",
        "_progress",
        "_stopped",
        "attempt",
        "crashes",
        "failures",
        "queue",
        "stop_cause",
        "task_id",
        "traceparent",
        "type",
    )

    def __init__(self, assignment: wire.Assignment, progress: ProgressSink) -> None:
        # Read at once: an assignment kept would keep the whole frame it came in.
        self.task_id: str = assignment.task_id
        self.attempt: int = assignment.attempt
        self.type: str = assignment.type
        self.queue: str = assignment.queue
        self.failures: int = assignment.failures
        """Earlier attempts whose handler failed."""
        self.crashes: int = assignment.crashes
        """Earlier attempts whose worker was lost."""
        self.traceparent: str = assignment.traceparent
        """W3C trace context of the submitter; empty if there was none."""
        self.stop_cause: StopCause | None = None
        self._created = (assignment.created_at.seconds, assignment.created_at.nanos)
        self._deadline: float | None = None
        if assignment.HasField("timeout"):
            limit = assignment.timeout
            self._deadline = time.time() + limit.seconds + limit.nanos / 1e9
        self._progress = progress
        self._stopped: asyncio.Event | None = None

    @property
    def token(self) -> Key:
        """The fencing token (task id, attempt): hand it to whatever must refuse an older attempt."""
        return self.task_id, self.attempt

    @property
    def created_at(self) -> datetime:
        """When the task was submitted, UTC."""
        seconds, nanos = self._created
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000)

    @property
    def deadline(self) -> datetime | None:
        """When this attempt times out by this machine's clock, UTC; None if it may run for ever."""
        return None if self._deadline is None else datetime.fromtimestamp(self._deadline, UTC)

    @property
    def cancelled(self) -> bool:
        """Whether the handler was told to stop; `stop_cause` says why."""
        return self.stop_cause is not None

    def raise_if_cancelled(self) -> None:
        """Raise asyncio.CancelledError, also in sync handlers, once the handler was told to stop."""
        if self.stop_cause is not None:
            raise asyncio.CancelledError(self.stop_cause.name)

    async def wait_cancelled(self) -> None:
        """Wait until the handler is told to stop. For async handlers."""
        if self._stopped is None:
            self._stopped = asyncio.Event()
        if self.stop_cause is None:
            await self._stopped.wait()

    def progress(self, fraction: float, message: str = "") -> None:
        """Report how far the work has come, 0 to 1. Cheap: only the latest of each half second is sent.

        Raises ValueError outside 0 to 1. The message is cut at 1000 characters.
        """
        if not 0 <= fraction <= 1 or math.isnan(fraction):
            raise ValueError(f"fraction must be 0 to 1, got {fraction}")
        text = message[:MAX_PROGRESS_MESSAGE].encode(errors="replace").decode()
        self._progress((self.task_id, self.attempt), float(fraction), text)

    def _stop(self, cause: StopCause) -> None:
        """Tell the handler to stop. In the worker's process only from the event loop."""
        if self.stop_cause is None or cause > self.stop_cause:
            self.stop_cause = cause
        if self._stopped is not None:
            self._stopped.set()
