"""Every store writes what the rules of the state machine say, to the letter, and nothing of its own."""

import time
import uuid
from collections.abc import Iterator
from typing import NamedTuple

import uuid_utils

from taskyard_core.domain.submission import build
from taskyard_core.domain.task import Task, TaskError, TaskState
from taskyard_core.domain.transitions import CRASH_LOOP, FAILED, RELEASED, RULES, Change, Rule, Transition
from taskyard_core.storage import codec
from taskyard_core.storage.claims import Bid
from taskyard_core.storage.postgres.database import Database
from taskyard_core.storage.postgres.queries import load
from taskyard_core.storage.sessions import SessionRecord
from taskyard_core.storage.submissions import NewTask
from tests.conformance.task_stores import PostgresYard, Yard, waiting

OLD, NEW = TaskError("Old"), TaskError("New")
LANE = "default/default/demo.echo/5/"


class Case(NamedTuple):
    """A row that a rule may meet."""

    rule: Rule
    state: TaskState
    asked: bool
    """A cancel was asked for meanwhile."""
    task: str

    @property
    def cancelled(self) -> bool:
        return self.asked and self.rule.if_cancelled is not None

    @property
    def target(self) -> TaskState:
        return TaskState.CANCELLED if self.cancelled else self.rule.target


class Rows:
    """Tasks of one session, whose rows are then put into the states of cases."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.store = yard.store
        self.session = str(uuid.uuid4())

    async def of(self, cases: list[Case]) -> None:
        new = [NewTask(case.task, build(type="demo.echo", payload=b"1")) for case in cases]
        record = SessionRecord(
            id=self.session, namespace="default", worker="w", dispatcher="d", types=["demo.echo"], slots=5
        )
        await self.store.sessions.adopt(record)
        receipt = await self.store.submissions.submit(new)
        assert receipt.outbox_id is not None
        await self.store.queued.published([receipt.outbox_id])
        await self.store.changes.claim([Bid(case.task, 0, self.session) for case in cases], {self.session: 1})
        for case in cases:
            await self.yard.poison(
                case.task,
                state=case.state,
                cancel_requested=case.asked,
                failures=5,
                crashes=6,
                error=codec.dump_error(OLD),
                expires_at=time.time() - 60,
                **({"finished_at": time.time()} if case.state.terminal else {}),
            )

    def transition(self, case: Case) -> Transition:
        owner = self.session if case.rule.outcome else None
        return Transition(case.task, 1, case.rule, owner, delay=60.0, result=b"7", error=NEW)

    async def task(self, case: Case) -> Task:
        found = await self.store.tasks.get(case.task)
        assert found is not None
        return found

    async def owner(self, case: Case) -> str | None:
        found = await self.store.tasks.decidable(case.task)
        assert found is not None
        return found.snapshot.session


def met() -> Iterator[Case]:
    for rule in RULES:
        for state in rule.sources:
            yield from (Case(rule, state, asked, str(uuid_utils.uuid7())) for asked in (False, True))


def unmet() -> Iterator[Case]:
    for rule in RULES:
        yield from (Case(rule, s, False, str(uuid_utils.uuid7())) for s in TaskState if s not in rule.sources)


def counted(count: int, more: int | None) -> int:
    return 0 if more is None else count + more


async def test_a_row_becomes_what_its_rule_says(yard: Yard) -> None:
    rows, cases = Rows(yard), list(met())
    await rows.of(cases)
    began = time.time()
    applied = await rows.store.changes.apply([rows.transition(case) for case in cases])
    for case, change in zip(cases, applied.changes, strict=True):
        rule, task = case.rule, await rows.task(case)
        assert change == Change(rows.transition(case), case.state, case.target, LANE), case
        assert task.state is case.target, case
        assert (task.failures, task.crashes) == (counted(5, rule.failures), counted(6, rule.crashes)), case
        assert task.cancel_requested == (case.asked and not rule.clears_cancel), case
        assert task.result == b"7", case
        assert task.error == (None if rule.clears_error else NEW), case
        assert (task.expires_at is None) == rule.clears_expiry, case
        assert (task.finished_at is not None) == case.target.terminal, case
        assert task.run_at is not None
        assert (task.run_at.timestamp() > began + 30) == (not case.cancelled), case
        forgotten = rule.clears_owner and not case.cancelled
        assert await rows.owner(case) == (None if forgotten else rows.session), case
        attempts, _ = await rows.store.tasks.attempts(case.task, 9)
        ended = [(attempt.outcome, attempt.error) for attempt in attempts if attempt.outcome]
        assert ended == ([(rule.outcome, NEW)] if rule.outcome else []), case
    _, entries = await rows.store.queued.unpublished(-1.0, 9)
    queued = {(case.task, 1) for case in cases if case.target is TaskState.QUEUED}
    assert {lane: set(some) for lane, some in entries.items()} == {LANE: queued}


async def test_a_row_that_no_rule_is_for_stays_as_it_is(yard: Yard) -> None:
    rows, cases = Rows(yard), list(unmet())
    await rows.of(cases)
    before = [await rows.task(case) for case in cases]
    applied = await rows.store.changes.apply([rows.transition(case) for case in cases])
    assert (set(applied.changes), applied.outbox_id) == ({None}, None)
    assert [await rows.task(case) for case in cases] == before


async def test_another_attempt_or_another_owner_is_none_of_a_rules_business(yard: Yard) -> None:
    rows, cases = Rows(yard), list(met())
    await rows.of(cases)
    before = [await rows.task(case) for case in cases]
    others = [rows.transition(case)._replace(attempt=2) for case in cases]
    others += [rows.transition(case)._replace(session=str(uuid.uuid4())) for case in cases]
    applied = await rows.store.changes.apply(others)
    assert (set(applied.changes), applied.outbox_id) == ({None}, None)
    assert [await rows.task(case) for case in cases] == before


async def test_counts_stop_at_what_a_row_can_hold(yard: Yard) -> None:
    rows, cases = Rows(yard), [case for case in met() if case.rule in {FAILED, CRASH_LOOP}]
    await rows.of(cases)
    for case in cases:
        await yard.poison(case.task, failures=2**31 - 1, crashes=2**31 - 1)
    await rows.store.changes.apply([rows.transition(case) for case in cases])
    for case in cases:
        task = await rows.task(case)
        assert (task.state, task.failures, task.crashes) == (case.target, 2**31 - 1, 2**31 - 1)


async def test_a_cancel_that_commits_while_the_write_waits_for_the_row_counts(database: Database) -> None:
    yard = PostgresYard(database)
    rows, (case,) = Rows(yard), [case for case in met() if case.rule is RELEASED and not case.asked]
    await rows.of([case])
    async with database.transaction("request_cancel") as connection:
        await connection.fetch(load("request_cancel"), [case.task])
        write = await waiting(yard, rows.store.changes.apply([rows.transition(case)]))
    assert [change and change.target for change in (await write).changes] == [TaskState.CANCELLED]
    assert (await rows.task(case)).state is TaskState.CANCELLED
