"""Telemetry that costs nothing."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

from taskyard_core.domain.task import TaskSpec
from taskyard_core.domain.transitions import Change
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.telemetry.records import Claim


class NoTelemetry(Telemetry):
    """Tells nobody anything."""

    def __init__(self) -> None:
        """Without metrics, traces and journal."""

    def submission(self, traceparent: str | None) -> AbstractContextManager[str | None]:
        """No span."""
        return nullcontext(traceparent)

    def submitted(self, ids: Sequence[str], specs: Sequence[TaskSpec]) -> None:
        """Not told."""

    def deduplicated(self, specs: Iterable[TaskSpec]) -> None:
        """Not told."""

    def claimed(self, claims: Sequence[Claim], took: float = 0.0) -> None:
        """Not told."""

    def changed(self, changes: Sequence[Change], took: float = 0.0) -> None:
        """Not told."""

    def refused(self, reason: str, results: int) -> None:
        """Not told."""

    def committed(self, statement: str, tasks: int, seconds: float) -> None:
        """Not told."""
