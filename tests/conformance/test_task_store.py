"""What every store of tasks promises: submits, claims, transitions, sessions and the leader's fence."""

import asyncio
import random
import uuid
from collections.abc import Sequence

import asyncpg
import pytest
import uuid_utils

from scheduler.domain.submission import build
from scheduler.domain.task import Outcome, TaskError, TaskState
from scheduler.domain.transitions import (
    Cancelled,
    Due,
    Event,
    Expired,
    Failed,
    Lost,
    Redriven,
    Released,
    Snapshot,
    Succeeded,
    Transition,
    decide,
)
from scheduler.storage.changes import Applied
from scheduler.storage.claims import Bid, Claimed, Head
from scheduler.storage.leader import TermOver
from scheduler.storage.postgres.changes import Changes
from scheduler.storage.postgres.claims import Claims
from scheduler.storage.postgres.database import Database
from scheduler.storage.postgres.leader import LeaderFence
from scheduler.storage.postgres.outbox import Outbox
from scheduler.storage.postgres.sessions import Sessions
from scheduler.storage.postgres.store import PostgresStore
from scheduler.storage.postgres.submissions import Submissions
from scheduler.storage.sessions import NamespaceMismatch, SessionRecord
from scheduler.storage.submissions import Conflict, NewTask, Receipt, Submitted


def new(key: str | None = None, hash: bytes = b"", **fields: object) -> NewTask:
    spec = build(type="demo.echo", payload=b"1", idempotency_key=key or "", **fields)  # type: ignore[arg-type]
    return NewTask(str(uuid_utils.uuid7()), spec, hash)


class Yard:
    """The stores of one database, and short ways through a task's life."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.submissions = Submissions(database)
        self.claims = Claims(database)
        self.changes = Changes(database)
        self.sessions = Sessions(database)
        self.outbox = Outbox(database)

    async def submitted(self, *tasks: NewTask) -> list[str]:
        receipt = await self.submissions.submit(tasks or [new()])
        return [outcome.task_id for outcome in receipt.outcomes if isinstance(outcome, Submitted)]

    async def session(self, **fields: object) -> str:
        record = SessionRecord(
            **{  # type: ignore[arg-type]
                "id": str(uuid.uuid4()),
                "namespace": "default",
                "worker": "w",
                "pod": "p",
                "dispatcher": "d",
                "types": ["demo.echo"],
                "slots": 5,
                **fields,
            }
        )
        await self.sessions.hello(record)
        return record.id

    async def claimed(self, task: str, session: str, attempt: int = 0, generation: int = 1) -> list[Claimed]:
        return await self.claims.claim([Bid(task, attempt, session)], {session: generation})

    async def end(self, task: str, session: str, event: Event, attempt: int = 1, **seen: int) -> Applied:
        snapshot = Snapshot(task, TaskState.RUNNING, attempt, session=session, **seen)  # type: ignore[arg-type]
        return await self.changes.apply([decide(snapshot, event, random.random)])

    async def row(self, task: str) -> asyncpg.Record:
        return (await self.database.fetch("SELECT * FROM taskyard.task WHERE id = $1", task))[0]


@pytest.fixture
def yard(database: Database) -> Yard:
    return Yard(database)


def _ids(receipt: Receipt) -> Sequence[str]:
    return [outcome.task_id for outcome in receipt.outcomes if isinstance(outcome, Submitted)]


async def test_a_task_with_a_delay_is_scheduled_and_not_in_the_outbox(yard: Yard) -> None:
    now, later = await yard.submitted(new(), new(delay=60.0))
    assert (await yard.row(now))["state"] == "QUEUED"
    assert (await yard.row(later))["state"] == "SCHEDULED"
    _, entries = await yard.outbox.stale(-1, 10)
    assert entries == {"default/default/demo.echo/5/": [(now, 0)]}


async def test_the_lane_in_the_table_is_spelled_as_the_domain_does(yard: Yard) -> None:
    (task,) = await yard.submitted(new(queue="q.1", priority=9, selector="gpu,io in (b,a)"))
    assert (await yard.row(task))["lane"] == "default/q.1/demo.echo/9/gpu,io in (a,b)"


async def test_one_key_makes_one_task_however_many_ask_at_once(yard: Yard) -> None:
    receipts = await asyncio.gather(*(yard.submissions.submit([new("k", b"h"), new("k", b"h")]) for _ in range(20)))
    assert len({task for receipt in receipts for task in _ids(receipt)}) == 1
    fresh = [o for r in receipts for o in r.outcomes if isinstance(o, Submitted) and not o.deduplicated]
    assert len(fresh) == 1
    assert (await yard.database.fetch("SELECT count(*) FROM taskyard.task"))[0][0] == 1


async def test_batches_with_the_same_keys_in_any_order_do_not_deadlock(yard: Yard) -> None:
    keys = [f"k{number}" for number in range(50)]
    batches = [[new(key, b"h") for key in random.sample(keys, len(keys))] for _ in range(16)]
    await asyncio.gather(*(yard.submissions.submit(batch) for batch in batches))
    assert (await yard.database.fetch("SELECT count(*) FROM taskyard.task"))[0][0] == 50


async def test_another_request_under_the_same_key_is_a_conflict_that_names_the_first(yard: Yard) -> None:
    (first,) = await yard.submitted(new("k", b"one"))
    other, fine = (await yard.submissions.submit([new("k", b"two"), new("j", b"two")])).outcomes
    assert other == Conflict(first)
    assert isinstance(fine, Submitted)


async def test_keys_of_another_namespace_are_other_keys(yard: Yard) -> None:
    one, two = await yard.submitted(new("k", b"a"), new("k", b"b", namespace="other"))
    assert one != two


async def test_an_attempt_is_claimed_once_however_many_try(yard: Yard) -> None:
    tasks = await yard.submitted(*(new() for _ in range(50)))
    sessions = [await yard.session() for _ in range(4)]
    claims = await asyncio.gather(
        *(
            yard.claims.claim([Bid(task, 0, session) for task in random.sample(tasks, 50)], {session: 1})
            for session in sessions
        )
    )
    won = [task.task_id for claimed in claims for task in claimed]
    assert sorted(won) == sorted(tasks)
    assert {task.attempt for claimed in claims for task in claimed} == {1}


@pytest.mark.parametrize("generation", [0, 2])
async def test_a_session_whose_generation_is_not_current_gets_nothing(yard: Yard, generation: int) -> None:
    (task,), session = await yard.submitted(), await yard.session()
    assert await yard.claimed(task, session, generation=generation) == []
    assert await yard.claims.still_queued([(task, 0)]) == {task}


async def test_an_entry_of_another_attempt_a_cancelled_and_an_expired_task_are_not_claimed(yard: Yard) -> None:
    one, cancelled, expired = await yard.submitted(new(), new(), new())
    session = await yard.session()
    await yard.changes.apply([decide(Snapshot(cancelled, TaskState.QUEUED, 0), Cancelled(), random.random)])
    await yard.database.fetch("UPDATE taskyard.task SET expires_at = now() WHERE id = $1", expired)
    assert await yard.claimed(one, session, attempt=1) == []
    assert await yard.claimed(cancelled, session) == []
    assert await yard.claimed(expired, session) == []
    assert await yard.claims.still_queued([(one, 0), (cancelled, 0), (expired, 0)]) == {one}


async def test_claiming_from_the_table_skips_what_others_are_claiming(yard: Yard) -> None:
    tasks = await yard.submitted(*(new() for _ in range(30)), new(queue="other"))
    sessions = [await yard.session() for _ in range(3)]
    assert len(await yard.claims.lanes()) == 2
    lane = "default/default/demo.echo/5/"

    def bids_for(session: str, heads: Sequence[Head]) -> list[Bid]:
        return [Bid(head.task_id, head.attempt, session) for head in heads]

    won = await asyncio.gather(
        *(yard.claims.claim_heads({lane: 10}, {s: 1}, lambda heads, s=s: bids_for(s, heads)) for s in sessions)  # type: ignore[misc]
    )
    claimed = [task.task_id for some in won for task in some]
    assert sorted(claimed) == sorted(tasks[:30])


async def test_a_success_ends_the_task_and_its_attempt_once(yard: Yard) -> None:
    (task,), session = await yard.submitted(), await yard.session()
    await yard.claimed(task, session)
    assert (await yard.end(task, session, Succeeded(b'"done"'))).ids == {task}
    assert (await yard.end(task, session, Succeeded(b'"again"'))).ids == set()
    row = await yard.row(task)
    assert (row["state"], row["result"]) == ("SUCCEEDED", b'"done"')
    assert await yard.changes.standings([(task, 1), (task, 2)]) == [(Outcome.SUCCEEDED, session), (None, None)]


async def test_only_the_owner_of_an_attempt_can_end_it(yard: Yard) -> None:
    (task,), owner, other = await yard.submitted(), await yard.session(), await yard.session()
    await yard.claimed(task, owner)
    assert (await yard.end(task, other, Succeeded(b"1"))).ids == set()
    assert (await yard.end(task, owner, Succeeded(b"1"), attempt=2)).ids == set()
    assert (await yard.row(task))["state"] == "RUNNING"


async def test_a_failure_waits_for_its_retry(yard: Yard) -> None:
    (task,), session = await yard.submitted(), await yard.session()
    await yard.claimed(task, session)
    await yard.end(task, session, Failed(TaskError("Boom", "no\0way")))
    row = await yard.row(task)
    assert (row["state"], row["failures"], row["session"]) == ("SCHEDULED", 1, None)
    assert 0.5 < (row["run_at"] - row["started_at"]).total_seconds() < 1.5
    due = Transition(task, TaskState.SCHEDULED, 1, TaskState.QUEUED, 1, 0)
    applied = await yard.changes.apply([due])
    assert applied.ids == {task}
    assert applied.outbox_id is not None


async def test_a_lost_task_is_queued_again_and_its_owners_late_success_still_counts(yard: Yard) -> None:
    (task,), session = await yard.submitted(), await yard.session()
    await yard.claimed(task, session)
    await yard.end(task, session, Lost())
    row = await yard.row(task)
    assert (row["state"], row["crashes"], str(row["session"])) == ("QUEUED", 1, session)
    assert (await yard.end(task, session, Succeeded(b"1"))).ids == {task}
    row = await yard.row(task)
    assert (row["state"], row["crashes"]) == ("SUCCEEDED", 1)
    assert await yard.changes.standings([(task, 1)]) == [(Outcome.SUCCEEDED, session)]


async def test_the_late_success_is_stale_once_the_task_is_claimed_again(yard: Yard) -> None:
    (task,), first, second = await yard.submitted(), await yard.session(), await yard.session()
    await yard.claimed(task, first)
    await yard.end(task, first, Lost())
    assert len(await yard.claimed(task, second, attempt=1)) == 1
    assert (await yard.end(task, first, Succeeded(b"1"))).ids == set()
    assert await yard.changes.standings([(task, 1)]) == [(Outcome.CRASHED, first)]


@pytest.mark.parametrize("event", [Failed(TaskError("X")), Released()])
async def test_a_late_failure_or_hand_back_of_a_lost_attempt_changes_nothing(yard: Yard, event: Event) -> None:
    (task,), session = await yard.submitted(), await yard.session()
    await yard.claimed(task, session)
    await yard.end(task, session, Lost())
    assert (await yard.end(task, session, event)).ids == set()


async def test_a_success_after_a_reported_failure_is_not_salvaged(yard: Yard) -> None:
    (task,), session = await yard.submitted(), await yard.session()
    await yard.claimed(task, session)
    await yard.end(task, session, Released())
    assert (await yard.row(task))["state"] == "QUEUED"
    assert (await yard.end(task, session, Succeeded(b"1"))).ids == set()


async def test_a_redriven_task_starts_over_and_its_old_owner_is_forgotten(yard: Yard) -> None:
    (task,), session = await yard.submitted(), await yard.session()
    await yard.claimed(task, session)
    await yard.end(task, session, Failed(TaskError("X", retryable=False)))
    await yard.changes.apply([decide(Snapshot(task, TaskState.FAILED, 1, 1), Redriven(), random.random)])
    row = await yard.row(task)
    assert (row["state"], row["attempt"], row["failures"], row["session"]) == ("QUEUED", 1, 0, None)
    assert (await yard.end(task, session, Succeeded(b"1"))).ids == set()


async def test_a_terminal_state_is_never_left_but_by_a_redrive(yard: Yard) -> None:
    (task,) = await yard.submitted()
    waiting = Snapshot(task, TaskState.QUEUED, 0)
    await yard.changes.apply([decide(waiting, Cancelled(), random.random)])
    for event in (Cancelled(), Expired()):
        assert (await yard.changes.apply([decide(waiting, event, random.random)])).ids == set()
    due = decide(Snapshot(task, TaskState.SCHEDULED, 0), Due(), random.random)
    assert (await yard.changes.apply([due])).ids == set()


async def test_a_cancel_asked_for_while_it_ran_ends_what_would_wait_again(yard: Yard) -> None:
    tasks, session = await yard.submitted(*(new() for _ in range(3))), await yard.session()
    for task in tasks:
        await yard.claimed(task, session)
    assert await yard.changes.request_cancel(tasks) == set(tasks)
    events: list[Event] = [Failed(TaskError("X")), Released(), Succeeded(b"1")]
    for task, event in zip(tasks, events, strict=True):
        applied = await yard.end(task, session, event)
        assert applied.outbox_id is None
        state = (await yard.row(task))["state"]
        assert [moved.target for moved in applied.moved if moved] == [state]
        assert state == ("SUCCEEDED" if isinstance(event, Succeeded) else "CANCELLED")


async def test_of_two_results_in_one_batch_only_what_changed_the_task_is_told_as_accepted(yard: Yard) -> None:
    (task,), first, second = await yard.submitted(), await yard.session(), await yard.session()
    await yard.claimed(task, first)
    await yard.end(task, first, Lost())
    await yard.claimed(task, second, attempt=1)

    def success(session: str, attempt: int, result: bytes) -> Transition:
        return decide(Snapshot(task, TaskState.RUNNING, attempt, session=session), Succeeded(result), random.random)

    stale, stranger = success(first, 1, b"1"), success(first, 2, b"2")
    mine, again = success(second, 2, b"3"), success(second, 2, b"4")
    applied = await yard.changes.apply([stale, stranger, mine, again])
    assert applied.moved == [None, None, mine, None]
    assert (await yard.row(task))["result"] == b"3"


async def test_a_task_redriven_past_its_expiry_can_run(yard: Yard) -> None:
    (task,), session = await yard.submitted(), await yard.session()
    await yard.claimed(task, session)
    await yard.end(task, session, Failed(TaskError("X", retryable=False)))
    await yard.database.fetch("UPDATE taskyard.task SET expires_at = now() WHERE id = $1", task)
    await yard.changes.apply([decide(Snapshot(task, TaskState.FAILED, 1, 1), Redriven(), random.random)])
    assert len(await yard.claimed(task, session, attempt=1)) == 1


async def test_hello_counts_generations_and_revives(yard: Yard) -> None:
    session = await yard.session()
    assert await yard.session(id=session, dispatcher="d2") == session
    async with PostgresStore(yard.database).transaction() as transaction:
        assert not await transaction.end_session(session, 1, "old news")
        assert await transaction.end_session(session, 2, "gone")
        assert not await transaction.end_session(session, 2, "twice")
    assert await yard.sessions.live() == []
    assert await yard.sessions.generations([session]) == {session: 0}
    await yard.session(id=session)
    assert [(live.id, live.generation) for live in await yard.sessions.live()] == [(session, 3)]


async def test_a_session_id_cannot_be_taken_over_from_another_namespace(yard: Yard) -> None:
    session = await yard.session()
    with pytest.raises(NamespaceMismatch):
        await yard.session(id=session, namespace="other")


async def test_a_claim_and_a_hello_elsewhere_cannot_both_win(yard: Yard) -> None:
    """Whichever comes first, the adopting dispatcher sees every task that the old one could still claim."""
    for _ in range(20):
        (task,), session = await yard.submitted(), await yard.session()
        claimed, _ = await asyncio.gather(yard.claimed(task, session), yard.session(id=session, dispatcher="new"))
        held = await yard.sessions.held(session)
        late = await yard.claimed(task, session)
        assert late == []
        assert [row.task.task_id for row in held] == [won.task_id for won in claimed]


async def test_nothing_commits_under_an_old_term(yard: Yard) -> None:
    fence = LeaderFence(yard.database)
    await fence.begin(5, "one")
    async with fence.duty(5) as transaction:
        await transaction.note_lane_epoch("one")
    await fence.begin(7, "two")
    with pytest.raises(TermOver):
        async with fence.duty(5):
            raise AssertionError
    with pytest.raises(TermOver):
        await fence.begin(6, "three")
    await fence.begin(7, "two again")


async def test_a_term_cannot_begin_while_a_duty_of_the_old_one_commits(yard: Yard) -> None:
    fence = LeaderFence(yard.database)
    await fence.begin(1, "one")
    order: list[str] = []

    async def successor() -> None:
        await fence.begin(2, "two")
        order.append("begun")

    async with fence.duty(1):
        waiting = asyncio.create_task(successor())
        # The successor is seen waiting for the row before the duty commits.
        while not await yard.database.fetch("SELECT 1 FROM pg_locks WHERE NOT granted"):  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(0)
        order.append("committed")
    await waiting
    assert order == ["committed", "begun"]


async def test_enqueueing_inside_a_users_own_transaction(yard: Yard) -> None:
    async with yard.database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.fetch("SELECT taskyard.submit('a.b', '{}')")
        await transaction.rollback()
    assert (await yard.database.fetch("SELECT count(*) FROM taskyard.task"))[0][0] == 0
    query = "SELECT taskyard.submit('a.b', '{\"n\": 1}', idempotency_key => 'k', run_at => now() + interval '1 h')"
    first = (await yard.database.fetch(query))[0][0]
    assert (await yard.database.fetch(query))[0][0] == first
    row = await yard.row(str(first))
    assert (row["state"], row["payload"], first.version) == ("SCHEDULED", b'{"n": 1}', 7)
