"""Tasks that SQL has made: honest ones, and among them rows that hold what no API would have taken.

Whoever owns the tables can write past their CHECKs, as everybody could with an older schema; so this workload drops
those of the database that it is let loose on.
"""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

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
AMONG = 4
"""Honest tasks beside each of the others, in one transaction and one lane, so that they are claimed together."""
PATIENCE = 10.0
"""Seconds that a transaction may take."""

CHECKS = ("task_timeout_range", "task_run_at_range", "task_expires_at_range")

ROWS: Mapping[str, tuple[str, str | None]] = {
    HONEST: ("type = type", None),
    "endless": ("timeout_seconds = 'infinity'", "INVALID_TASK"),
    "backwards": ("timeout_seconds = -3600", "INVALID_TASK"),
    "no number": ("timeout_seconds = 'NaN'", "INVALID_TASK"),
    "no time": ("timeout_seconds = 0", "INVALID_TASK"),
    "retry is a list": ("retry = '[3]'", "INVALID_TASK"),
    "retry of other fields": ("retry = '{\"attempts\": 3}'", "INVALID_TASK"),
    "retry for ever": ("retry = '{\"initial_backoff\": 1e300}'", "INVALID_TASK"),
    "huge": ("payload = convert_to('\"' || repeat('x', 262144) || '\"', 'UTF8')", "INVALID_TASK"),
    # Nothing keeps these from being sent; of the first, its worker can make nothing.
    "no JSON": (r"payload = '\xff7b'::bytea", "NonRetryable"),
    "ever ready": ("run_at = '-infinity'", None),
    "never over": ("expires_at = 'infinity'", None),
    "traced by nobody": ("traceparent = repeat(chr(27) || '[31m', 1000)", None),
}
"""By name: what is written into the row, and the type of the error that its task must end with; None: it succeeds."""


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

    def check(self, history: History) -> Iterator[Violation]:
        """Besides, each row ended as its name says."""
        yield from super().check(history)
        rows = {s.task: _row(s.key) for s in history.submits if s.workload == self.name and s.task}
        for task, end in final_states(history).items():
            if task not in rows or end.new is None or end.reason == "CRASH_LOOP":
                continue
            _, error = ROWS[rows[task]]
            wanted = "FAILED" if error else "SUCCEEDED"
            if end.new != wanted or (error and end.reason != error):
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


_SUBMIT = "SELECT taskyard.submit($1, $2::text::jsonb, idempotency_key => $3)::text"


def _request(row: str, content: str) -> TaskRequest:
    return TaskRequest(TYPE, {"token": content}, idempotency_key=f"{content} {row}")


def _row(key: str | None) -> str:
    return (key or "").partition(" ")[2]


def _noted(invoked: float, returned: float, phase: Phase, request: TaskRequest, task: str | None) -> Submit:
    # As Postgres spells it.
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
