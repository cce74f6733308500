"""Tasks that SQL has made: honest ones, and among them rows that hold what no API would have taken.

Whoever owns the tables can write past their CHECKs, as everybody could with an older schema; so this workload drops
those of the database that it is let loose on.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import asyncpg
import orjson

from chaos.backends.database import UNREACHABLE
from chaos.checks.violation import Violation
from chaos.history.audit import Connection
from chaos.history.events import Phase, Submit, digest
from chaos.history.record import History
from chaos.workloads.plain import SUCCEEDED
from chaos.workloads.recorder import Recorder
from chaos.workloads.stream import Stream, final_states
from chaos.workloads.tokens import token
from chaos.workloads.workload import Stage
from taskyard import TaskRequest

TYPE = "chaos.row"
HONEST = ""
MIDWAY = "midway"
"""Runs for some seconds, and its row is changed meanwhile."""
AMONG = 4
"""Honest tasks beside each of the others, in one transaction and one lane, so that they are claimed together."""
SECONDS = 2
PATIENCE = 10.0
"""Seconds that a transaction may take."""

CHECKS = ("task_timeout_range", "task_run_at_range", "task_expires_at_range")

_RUNS, _CANNOT = frozenset({"SUCCEEDED"}), frozenset({"INVALID_TASK"})

ROWS: Mapping[str, tuple[str, frozenset[str]]] = {
    HONEST: ("type = type", _RUNS),
    "endless": ("timeout_seconds = 'infinity'", _CANNOT),
    "backwards": ("timeout_seconds = -3600", _CANNOT),
    "no number": ("timeout_seconds = 'NaN'", _CANNOT),
    "no time": ("timeout_seconds = 0", _CANNOT),
    "retry is a list": ("retry = '[3]'", _CANNOT),
    "retry of other fields": ("retry = '{\"attempts\": 3}'", _CANNOT),
    "retry for ever": ("retry = '{\"initial_backoff\": 1e300}'", _CANNOT),
    "huge": ("payload = convert_to('\"' || repeat('x', 262144) || '\"', 'UTF8')", _CANNOT),
    # Nothing keeps these from being sent; of the first, its worker can make nothing.
    "no JSON": (r"payload = '\xff7b'::bytea", frozenset({"INVALID_PAYLOAD"})),
    "ever ready": ("run_at = '-infinity'", _RUNS),
    "never over": ("expires_at = 'infinity'", _RUNS),
    "traced by nobody": ("traceparent = repeat(chr(27) || '[31m', 1000)", _RUNS),
    # Whoever runs it already may end it; nobody can be sent it once more.
    MIDWAY: ("type = type", _RUNS | _CANNOT),
}
"""By name: what is written into the row, and how its task may end: SUCCEEDED, or FAILED with an error of that type."""


class Rows(Stream):
    """What cannot be run ends alone; whatever was claimed with it runs."""

    name = "rows"
    expected: ClassVar = {TYPE: SUCCEEDED | {"FAILED"}}

    async def setup(self, stage: Stage) -> None:
        """Drops the CHECKs that would keep such rows out."""
        connection = await asyncpg.connect(stage.database())
        try:
            for name in CHECKS:
                await connection.execute(f"ALTER TABLE taskyard.task DROP CONSTRAINT IF EXISTS {name}")
        finally:
            await connection.close()

    def requests(self, stage: Stage, count: int) -> Sequence[TaskRequest]:
        """Honest tasks and others, in any order; a task's key names its row."""
        rows = [stage.draw.choice([row for row in ROWS if row]) for _ in range(count)]
        rows += [HONEST] * (AMONG * count)
        stage.draw.shuffle(rows)
        return [_request(row, token(stage.draw)) for row in rows]

    async def submit(self, stage: Stage, recorder: Recorder, requests: Sequence[TaskRequest]) -> list[str]:  # noqa: ARG002
        """Has SQL make them, all or none."""
        invoked, phase, tasks = stage.journal.now(), Phase.FAILED, list[str]()
        with contextlib.suppress(*UNREACHABLE):
            connection = await asyncpg.connect(stage.database(), timeout=5)
            try:
                phase = Phase.UNKNOWN
                async with asyncio.timeout(PATIENCE):
                    tasks = await _written(connection, requests)
                phase = Phase.OK
            finally:
                connection.terminate()  # close() would wait for a frozen server
        returned = stage.journal.now()
        told = tasks if phase is Phase.OK else [None] * len(requests)
        stage.journal.append(
            *(_noted(invoked, returned, phase, *pair) for pair in zip(requests, told, strict=True)),
        )
        return tasks

    async def act(self, stage: Stage, recorder: Recorder, tasks: Sequence[str]) -> None:
        """Changes those that run, and reads one of them all."""
        await asyncio.sleep(stage.draw.random() * SECONDS)
        with contextlib.suppress(*UNREACHABLE):
            connection = await asyncpg.connect(stage.database(), timeout=5)
            try:
                await connection.execute(_MIDWAY, tasks, timeout=PATIENCE)
            finally:
                connection.terminate()
        await recorder.get(stage.draw.choice(tasks))

    def check(self, history: History) -> Iterator[Violation]:
        """Besides, each row ended as its name says."""
        yield from super().check(history)
        rows = {s.task: _row(s.key) for s in history.submits if s.workload == self.name and s.task}
        for task, end in final_states(history).items():
            if task not in rows or end.new is None or end.reason == "CRASH_LOOP":
                continue
            if (end.reason if end.new == "FAILED" else end.new) not in ROWS[rows[task]][1]:
                what = f"task {task}, whose row is {rows[task] or 'honest'}, ended {end.new} ({end.reason})"
                yield Violation(self.name, what, task)


async def _written(connection: Connection, requests: Sequence[TaskRequest]) -> list[str]:
    tasks: list[str] = []
    # No block that would roll back: a server that is frozen would not hear of it.
    await connection.execute("BEGIN")
    for request in requests:
        payload = orjson.dumps(request.payload).decode()
        task = await connection.fetchval(_SUBMIT, request.type, payload, request.idempotency_key)
        assignment, _ = ROWS[_row(request.idempotency_key)]
        await connection.execute(f"UPDATE taskyard.task SET {assignment} WHERE id = $1::text::uuid", task)
        tasks.append(task)
    await connection.execute("COMMIT")
    return tasks


_MIDWAY = """\
UPDATE taskyard.task SET timeout_seconds = 'infinity', retry = '[3]'
WHERE id = ANY($1::text[]::uuid[]) AND state = 'RUNNING' AND idempotency_key LIKE '% midway'"""
_SUBMIT = "SELECT taskyard.submit($1, $2::text::jsonb, idempotency_key => $3)::text"


def _request(row: str, content: str) -> TaskRequest:
    payload: dict[str, Any] = {"token": content}
    if row == MIDWAY:
        payload["seconds"] = SECONDS
    return TaskRequest(TYPE, payload, idempotency_key=f"{content} {row}")


def _row(key: str | None) -> str:
    return (key or "").partition(" ")[2]


def _noted(invoked: float, returned: float, phase: Phase, request: TaskRequest, task: str | None) -> Submit:
    # As Postgres spells it, keys in order of their length.
    payload = json.dumps(request.payload).encode()
    return Submit(
        invoked=invoked,
        returned=returned,
        client=Rows.name,
        workload=Rows.name,
        namespace="default",
        key=request.idempotency_key,
        request=digest(payload),
        phase=phase,
        task=task,
        type=TYPE,
    )
