"""How a transition's line is spelled: pieces that are the same for many tasks are made once and put together."""

from collections.abc import Mapping
from typing import Protocol

import orjson

from taskyard_core.domain import lanes
from taskyard_core.domain.task import Outcome, TaskState
from taskyard_core.domain.transitions import Runner
from taskyard_core.telemetry.identity import Identity

LOGGER = "taskyard.transitions"


class Style(Protocol):
    """A line is `head move TASK id ATTEMPT attempt lane runner [TRACE trace TRACE_END] [error] END`."""

    task: str
    attempt: str
    trace: str
    trace_end: str
    end: str

    def head(self, stamp: str, identity: Identity) -> str:
        """What all lines of a batch begin with."""

    def move(self, source: TaskState | None, target: TaskState, outcome: Outcome | None) -> str:
        """The states."""

    def lane(self, namespace: str, queue: str, type: str) -> str:
        """The kind of task."""

    def runner(self, runner: Runner) -> str:
        """The worker."""

    def error(self, type: str) -> str:
        """Why it failed."""


class JsonStyle:
    """One JSON object per line."""

    task = ',"task":"'
    attempt = '","attempt":'
    trace = ',"trace_id":"'
    trace_end = '"'
    end = "}\n"

    def head(self, stamp: str, identity: Identity) -> str:
        """Time, level, logger, message and the process."""
        fields = {"ts": stamp, "level": "INFO", "logger": LOGGER, "message": "task moved", "role": identity.role}
        fields |= {"pod": identity.pod, "process": identity.id}
        if identity.role == "dispatcher":
            fields["dispatcher"] = identity.id
        return "{" + _members(fields)

    def move(self, source: TaskState | None, target: TaskState, outcome: Outcome | None) -> str:
        """`from` is null for a submission; `outcome` is there if an attempt ended."""
        fields: dict[str, str | None] = {"from": source, "to": target}
        return "," + _members({**fields, "outcome": outcome} if outcome else fields)

    def lane(self, namespace: str, queue: str, type: str) -> str:
        """Namespace, queue and type."""
        return "," + _members({"namespace": namespace, "queue": queue, "type": type})

    def runner(self, runner: Runner) -> str:
        """Worker, session and the worker's pod if known."""
        fields = {"worker": runner.worker, "session": runner.session}
        return "," + _members({**fields, "worker_pod": runner.pod} if runner.pod else fields)

    def error(self, type: str) -> str:
        """The error's type only: its message may hold what does not belong in a log."""
        return "," + _members({"error": type})


class TextStyle:
    """For people in front of a terminal."""

    task = " task="
    attempt = " attempt="
    trace = " trace="
    trace_end = ""
    end = "\n"

    def head(self, stamp: str, identity: Identity) -> str:
        """Time, level and the process."""
        return f"{stamp} INFO    {identity.id}"

    def move(self, source: TaskState | None, target: TaskState, outcome: Outcome | None) -> str:
        """An arrow between the states."""
        return f" {source or 'new'} -> {target}" + (f" ({outcome})" if outcome else "")

    def lane(self, namespace: str, queue: str, type: str) -> str:
        """Namespace, queue and type as a path."""
        return f" {namespace}/{queue}/{type}"

    def runner(self, runner: Runner) -> str:
        """The worker's name, on one line whatever it holds."""
        return f" worker={runner.worker!r}"

    def error(self, type: str) -> str:
        """The error's type, on one line whatever it holds."""
        return f" error={type!r}"


def lane_of(style: Style, name: str) -> str:
    """The style's piece for a lane of that name."""
    lane = lanes.told(name)
    return style.lane(lane.namespace, lane.queue, lane.type)


def _members(fields: Mapping[str, str | None]) -> str:
    return orjson.dumps(fields).decode()[1:-1]
