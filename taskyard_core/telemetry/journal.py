"""The log of transitions: a line for every step of every task, written with one call per batch."""

import time
from collections.abc import Callable, Sequence
from typing import TextIO, TypeVar

from taskyard_core.domain.task import Outcome, TaskSpec, TaskState
from taskyard_core.domain.transitions import Change, Runner
from taskyard_core.telemetry.clock import stamp
from taskyard_core.telemetry.identity import Identity
from taskyard_core.telemetry.ledger import Ledger
from taskyard_core.telemetry.records import Claim
from taskyard_core.telemetry.styles import Style, lane_of

_REMEMBERED = 65536
_Key = TypeVar("_Key")


class Journal:
    """Writes transitions to `stream`; a stream that refuses is counted in the ledger, since work must go on."""

    def __init__(
        self,
        identity: Identity,
        style: Style,
        stream: TextIO,
        ledger: Ledger,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._identity = identity
        self._style = style
        self._stream = stream
        self._ledger = ledger
        self._clock = clock
        self._lanes: dict[str, str] = {}
        self._kinds: dict[tuple[str, str, str], str] = {}
        self._runners: dict[Runner, str] = {}
        self._moves: dict[tuple[TaskState, TaskState, Outcome | None], str] = {}

    def submitted(self, ids: Sequence[str], specs: Sequence[TaskSpec]) -> None:
        """Tasks were stored, SCHEDULED if they wait for their time and QUEUED otherwise."""
        style, kinds = self._style, self._kinds
        head = self._head()
        scheduled = head + style.move(None, TaskState.SCHEDULED, None) + style.task
        queued = head + style.move(None, TaskState.QUEUED, None) + style.task
        attempt = f"{style.attempt}0"
        lines = []
        for task_id, spec in zip(ids, specs, strict=True):
            key = (spec.namespace, spec.queue, spec.type)
            kind = kinds.get(key) or _remember(kinds, key, style.lane(*key))
            begin = scheduled if spec.waits else queued
            lines.append(f"{begin}{task_id}{attempt}{kind}{self._trace(spec.traceparent)}{style.end}")
        self._write(lines)

    def claimed(self, claims: Sequence[Claim]) -> None:
        """Tasks were given to workers."""
        style, lanes, runners = self._style, self._lanes, self._runners
        begin = self._head() + style.move(TaskState.QUEUED, TaskState.RUNNING, None) + style.task
        middle, end, trace = style.attempt, style.end, self._trace
        lines = []
        for task_id, attempt, lane, runner, _, traceparent in claims:
            kind = lanes.get(lane) or _remember(lanes, lane, lane_of(style, lane))
            where = runners.get(runner) or _remember(runners, runner, style.runner(runner))
            context = trace(traceparent) if traceparent else ""
            lines.append(f"{begin}{task_id}{middle}{attempt}{kind}{where}{context}{end}")
        self._write(lines)

    def changed(self, changes: Sequence[Change]) -> None:
        """Tasks changed their state, attempts ended with that or not."""
        style, lanes, runners, moves = self._style, self._lanes, self._runners, self._moves
        head, task, middle, end, trace = self._head(), style.task, style.attempt, style.end, self._trace
        lines = []
        for transition, source, target, lane, traceparent in changes:
            key = (source, target, transition.rule.outcome)
            move = moves.get(key) or _remember(moves, key, style.move(*key))
            kind = lanes.get(lane) or _remember(lanes, lane, lane_of(style, lane))
            runner, where = transition.runner, ""
            if runner is not None:
                where = runners.get(runner) or _remember(runners, runner, style.runner(runner))
            context = trace(traceparent) if traceparent else ""
            if transition.error is not None:
                context += style.error(transition.error.type)
            lines.append(f"{head}{move}{task}{transition.id}{middle}{transition.attempt}{kind}{where}{context}{end}")
        self._write(lines)

    def _head(self) -> str:
        return self._style.head(stamp(self._clock()), self._identity)

    def _trace(self, traceparent: str | None) -> str:
        if not traceparent:
            return ""
        trace = traceparent[3:35]
        # Clients choose the text. Letters and digits need no escapes; whatever else it is, it is no trace id.
        return f"{self._style.trace}{trace}{self._style.trace_end}" if trace.isalnum() else ""

    def _write(self, lines: list[str]) -> None:
        if not lines:
            return
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except (OSError, ValueError):
            # Full disk, broken pipe, closed stream: a log that cannot be written must not stop the tasks.
            self._ledger.lines_lost += len(lines)


def _remember(memory: dict[_Key, str], key: _Key, piece: str) -> str:
    if len(memory) >= _REMEMBERED:
        memory.clear()
    memory[key] = piece
    return piece
