"""One object through which a process tells what it does."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Self, TextIO

from taskyard_core.domain.task import TaskSpec
from taskyard_core.domain.transitions import Change
from taskyard_core.telemetry import logs
from taskyard_core.telemetry.gauges import Gauges
from taskyard_core.telemetry.identity import Identity
from taskyard_core.telemetry.journal import Journal
from taskyard_core.telemetry.lag import LagProbe
from taskyard_core.telemetry.metrics import Metrics
from taskyard_core.telemetry.records import Claim
from taskyard_core.telemetry.settings import LogSettings
from taskyard_core.telemetry.styles import JsonStyle, TextStyle
from taskyard_core.telemetry.traces import Traces


class Telemetry:
    """Metrics, transition log and traces of one process; call it after the commit that it tells of.

    All methods are synchronous, take batches and belong to the event loop's thread.
    """

    def __init__(self, metrics: Metrics, traces: Traces, journal: Journal | None, lag: LagProbe) -> None:
        self.metrics = metrics
        self.traces = traces
        self.lag = lag
        self._journal = journal
        self._ledger = metrics.ledger
        self.gauges.loop_lag = lag.worst

    @classmethod
    def for_role(
        cls,
        role: str,
        *,
        pod: str,
        id: str,
        log: LogSettings | None = None,
        variables: Mapping[str, str] = os.environ,
        stream: TextIO = sys.stderr,
    ) -> Self:
        """The telemetry of a process, which also sets up its logging.

        Without `log` the TASKYARD_LOG_* variables rule; OTEL_* always do. Raises ValueError for log settings that
        make no sense.
        """
        identity = Identity(role, pod, id)
        log = log or LogSettings.from_environment(variables)
        logs.configure(identity, log, stream)
        metrics = Metrics(identity, variables)
        style = JsonStyle() if log.format == "json" else TextStyle()
        journal = (
            Journal(identity, style, stream, metrics.ledger)
            if log.transitions and log.level in ("DEBUG", "INFO")
            else None
        )
        return cls(metrics, Traces.from_environment(identity, variables), journal, LagProbe())

    @classmethod
    def silent(cls) -> Self:
        """Counts, but neither logs nor traces, and leaves the process's logging alone: for tests."""
        return cls(Metrics(Identity("test", "test", "test"), {}), Traces(None), None, LagProbe())

    @property
    def gauges(self) -> Gauges:
        """The callbacks for what is read at a scrape; assign those that this process can answer."""
        return self.metrics.gauges

    def submission(self, traceparent: str | None) -> AbstractContextManager[str | None]:
        """A span around one submitting call; gives the traceparent for tasks that bring none of their own."""
        return self.traces.submission(traceparent)

    def submitted(self, ids: Sequence[str], specs: Sequence[TaskSpec]) -> None:
        """New tasks are stored: `ids[i]` is the task made of `specs[i]`."""
        self._ledger.submitted(specs)
        if self._journal is not None:
            self._journal.submitted(ids, specs)

    def deduplicated(self, specs: Iterable[TaskSpec]) -> None:
        """Submissions were answered with an earlier task."""
        self._ledger.deduplicated(specs)

    def claimed(self, claims: Sequence[Claim], took: float = 0.0) -> None:
        """Tasks went from QUEUED to RUNNING; the claim took that many seconds."""
        self._ledger.claimed(claims)
        if self._journal is not None:
            self._journal.claimed(claims)
        self.traces.record_claims(claims, took)

    def changed(self, changes: Sequence[Change], took: float = 0.0) -> None:
        """Tasks went from one state to another, attempts ended with that or not; the commit took that many seconds."""
        self._ledger.changed(changes)
        if self._journal is not None:
            self._journal.changed(changes)
        self.traces.record_outcomes(changes, took)

    def refused(self, reason: str, results: int) -> None:
        """Results of workers were not accepted; `reason` is one of a few words such as "stale", "duplicate"."""
        self._ledger.refused[reason] += results

    def committed(self, statement: str, tasks: int, seconds: float) -> None:
        """A group commit; `statement` is one of a few words such as "submit", "claim", "complete"."""
        self._ledger.committed(statement, tasks, seconds)

    async def close(self, timeout: float = 5.0) -> bool:
        """Export what is left, without blocking the loop; False if that took longer than `timeout` seconds.

        What is not exported by then is given up: a collector that is away must not hold up a process that ends.
        """
        threads = [
            threading.Thread(target=close, name="telemetry-close", daemon=True)
            for close in (self.traces.close, self.metrics.close)
        ]
        for thread in threads:
            thread.start()
        return await asyncio.to_thread(_join, threads, timeout)


def _join(threads: list[threading.Thread], timeout: float) -> bool:
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return not any(thread.is_alive() for thread in threads)
