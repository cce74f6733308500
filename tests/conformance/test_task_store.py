"""What every store of tasks promises: submits, claims, transitions, sessions and the leader's fence."""

import asyncio
import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
import uuid_utils

from taskyard_core.domain.session_names import public_name, secret_hash
from taskyard_core.domain.submission import build
from taskyard_core.domain.task import Outcome, Task, TaskError, TaskState
from taskyard_core.domain.transitions import (
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
from taskyard_core.storage.changes import Applied
from taskyard_core.storage.claims import Bid, Claimed, Head
from taskyard_core.storage.sessions import Host, NamespaceMismatch, SecretMismatch, SessionRecord
from taskyard_core.storage.submissions import Conflict, NewTask, Receipt, Submitted
from taskyard_core.storage.tasks import Decidable, TaskFilter
from taskyard_core.storage.term import TermOver
from tests.conformance.task_stores import Yard, moved, waiting


def new(key: str | None = None, hash: bytes = b"", **fields: object) -> NewTask:
    spec = build(type="demo.echo", payload=b"1", idempotency_key=key or "", **fields)  # type: ignore[arg-type]
    return NewTask(str(uuid_utils.uuid7()), spec, hash)


class Life:
    """A task store, and short ways through a task's life."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.store = yard.store
        self.submissions = self.store.submissions
        self.changes = self.store.changes
        self.sessions = self.store.sessions
        self.queued = self.store.queued

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
        await self.sessions.adopt(record)
        return record.id

    async def claimed(self, task: str, session: str, attempt: int = 0, generation: int = 1) -> list[Claimed]:
        return await self.changes.claim([Bid(task, attempt, session)], {session: generation})

    async def end(self, task: str, session: str, event: Event, attempt: int = 1, **seen: int) -> Applied:
        snapshot = Snapshot(task, TaskState.RUNNING, attempt, session=session, **seen)  # type: ignore[arg-type]
        return await self.changes.apply([decide(snapshot, event, random.random)])

    async def decided(self, task: str, event: Event) -> Applied:
        """Apply what an event makes of the task as it is now."""
        return await self.changes.apply([decide((await self.seen(task)).snapshot, event, random.random)])

    async def task(self, task: str) -> Task:
        found = await self.store.tasks.get(task)
        assert found is not None
        return found

    async def seen(self, task: str) -> Decidable:
        found = await self.store.tasks.decidable(task)
        assert found is not None
        return found

    async def all(self) -> list[Task]:
        return (await self.store.tasks.page(TaskFilter(), 1000, None))[0]


@pytest.fixture
def life(yard: Yard) -> Life:
    return Life(yard)


def _ids(receipt: Receipt) -> Sequence[str]:
    return [outcome.task_id for outcome in receipt.outcomes if isinstance(outcome, Submitted)]


async def test_a_task_with_a_delay_is_scheduled_and_not_in_the_outbox(life: Life) -> None:
    now, later = await life.submitted(new(), new(delay=60.0))
    assert (await life.task(now)).state == "QUEUED"
    assert (await life.task(later)).state == "SCHEDULED"
    _, entries = await life.queued.unpublished(-1, 10)
    assert entries == {"default/default/demo.echo/5/": [(now, 0)]}


async def test_what_waits_makes_no_row_in_the_outbox(life: Life) -> None:
    assert (await life.submissions.submit([new(delay=60.0)])).outbox_id is None
    assert (await life.queued.backlog())[0] == 0


async def test_the_lane_in_the_table_is_spelled_as_the_domain_does(life: Life) -> None:
    (task,) = await life.submitted(new(queue="q.1", priority=9, selector="gpu,io in (b,a)"))
    assert (await life.seen(task)).lane == "default/q.1/demo.echo/9/gpu,io in (a,b)"


async def test_one_key_makes_one_task_however_many_ask_at_once(life: Life) -> None:
    receipts = await asyncio.gather(*(life.submissions.submit([new("k", b"h"), new("k", b"h")]) for _ in range(20)))
    assert len({task for receipt in receipts for task in _ids(receipt)}) == 1
    fresh = [o for r in receipts for o in r.outcomes if isinstance(o, Submitted) and not o.deduplicated]
    assert len(fresh) == 1
    assert len(await life.all()) == 1


async def test_batches_with_the_same_keys_in_any_order_do_not_deadlock(life: Life) -> None:
    keys = [f"k{number}" for number in range(50)]
    batches = [[new(key, b"h") for key in random.sample(keys, len(keys))] for _ in range(16)]
    await asyncio.gather(*(life.submissions.submit(batch) for batch in batches))
    assert len(await life.all()) == 50


async def test_another_request_under_the_same_key_is_a_conflict_that_names_the_first(life: Life) -> None:
    (first,) = await life.submitted(new("k", b"one"))
    other, fine = (await life.submissions.submit([new("k", b"two"), new("j", b"two")])).outcomes
    assert other == Conflict(first)
    assert isinstance(fine, Submitted)


async def test_requests_that_mean_the_same_are_one_however_they_are_written(life: Life) -> None:
    first, again, other = (
        NewTask(str(uuid_utils.uuid7()), new("k").spec, hash, written)
        for hash, written in ((b"one", b"1"), (b"one", b"1.0"), (b"two", b"1"))
    )
    await life.submissions.submit([first])
    same, conflict = (await life.submissions.submit([again, other])).outcomes
    assert isinstance(same, Submitted)
    assert (same.task_id, same.deduplicated, conflict) == (first.id, True, Conflict(first.id))


async def test_keys_of_another_namespace_are_other_keys(life: Life) -> None:
    one, two = await life.submitted(new("k", b"a"), new("k", b"b", namespace="other"))
    assert one != two


async def test_an_attempt_is_claimed_once_however_many_try(life: Life) -> None:
    tasks = await life.submitted(*(new() for _ in range(50)))
    sessions = [await life.session() for _ in range(4)]
    claims = await asyncio.gather(
        *(
            life.changes.claim([Bid(task, 0, session) for task in random.sample(tasks, 50)], {session: 1})
            for session in sessions
        )
    )
    won = [task.task_id for claimed in claims for task in claimed]
    assert sorted(won) == sorted(tasks)
    assert {task.attempt for claimed in claims for task in claimed} == {1}


@pytest.mark.parametrize("generation", [0, 2])
async def test_a_session_whose_generation_is_not_current_gets_nothing(life: Life, generation: int) -> None:
    (task,), session = await life.submitted(), await life.session()
    assert await life.claimed(task, session, generation=generation) == []
    assert await life.changes.still_queued([(task, 0)]) == {task}


async def test_an_entry_of_another_attempt_a_cancelled_and_an_expired_task_are_not_claimed(life: Life) -> None:
    one, cancelled, expired = await life.submitted(new(), new(), new())
    session = await life.session()
    await life.changes.apply([decide(Snapshot(cancelled, TaskState.QUEUED, 0), Cancelled(), random.random)])
    await life.yard.expire(expired)
    assert await life.claimed(one, session, attempt=1) == []
    assert await life.claimed(cancelled, session) == []
    assert await life.claimed(expired, session) == []
    assert await life.changes.still_queued([(one, 0), (cancelled, 0), (expired, 0)]) == {one}


async def test_claiming_from_the_table_skips_what_others_are_claiming(life: Life) -> None:
    tasks = await life.submitted(*(new() for _ in range(30)), new(queue="other"))
    sessions = [await life.session() for _ in range(3)]
    (first, position) = await life.store.queued.lanes("", 1)
    (second, position) = await life.store.queued.lanes(position, 1)
    assert len({*first, *second}) == 2
    assert await life.store.queued.lanes(position, 1) == ([], "")
    lane = "default/default/demo.echo/5/"

    def bids_for(session: str, heads: Sequence[Head]) -> list[Bid]:
        return [Bid(head.task_id, head.attempt, session) for head in heads]

    won = await asyncio.gather(
        *(life.changes.claim_heads({lane: 10}, {s: 1}, lambda heads, s=s: bids_for(s, heads)) for s in sessions)  # type: ignore[misc]
    )
    claimed = [task.task_id for some in won for task in some]
    assert sorted(claimed) == sorted(tasks[:30])


async def test_a_success_ends_the_task_and_its_attempt_once(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    assert moved(await life.end(task, session, Succeeded(b'"done"'))) == {task}
    assert moved(await life.end(task, session, Succeeded(b'"again"'))) == set()
    row = await life.task(task)
    assert (row.state, row.result) == ("SUCCEEDED", b'"done"')
    assert (await life.seen(task)).snapshot.session == session
    assert await life.changes.standings([(task, 1), (task, 2)]) == [(Outcome.SUCCEEDED, session), (None, None)]


async def test_only_the_owner_of_an_attempt_can_end_it(life: Life) -> None:
    (task,), owner, other = await life.submitted(), await life.session(), await life.session()
    await life.claimed(task, owner)
    assert moved(await life.end(task, other, Succeeded(b"1"))) == set()
    assert moved(await life.end(task, owner, Succeeded(b"1"), attempt=2)) == set()
    assert (await life.task(task)).state == "RUNNING"


async def test_a_failure_waits_for_its_retry(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.end(task, session, Failed(TaskError("Boom", "no\0way")))
    row = await life.task(task)
    assert (row.state, row.failures, (await life.seen(task)).snapshot.session) == ("SCHEDULED", 1, None)
    assert row.run_at
    assert row.started_at
    assert 0.5 < (row.run_at - row.started_at).total_seconds() < 1.5
    applied = await life.decided(task, Due())
    assert moved(applied) == {task}
    assert applied.outbox_id is not None


async def test_a_success_keeps_what_failures_there_were_and_no_error(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.end(task, session, Failed(TaskError("Boom")))
    await life.decided(task, Due())
    row = await life.task(task)
    assert (row.failures, row.error and row.error.type) == (1, "Boom")
    await life.claimed(task, session, attempt=1)
    # As its dispatcher may see it: the counts of a success are the row's.
    await life.end(task, session, Succeeded(b"1"), attempt=2)
    row = await life.task(task)
    assert (row.state, row.failures, row.error) == ("SUCCEEDED", 1, None)


async def test_a_lost_task_is_queued_again_and_its_owners_late_success_still_counts(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.end(task, session, Lost())
    row = await life.task(task)
    assert (row.state, row.crashes, (await life.seen(task)).snapshot.session) == ("QUEUED", 1, session)
    assert moved(await life.end(task, session, Succeeded(b"1"))) == {task}
    row = await life.task(task)
    assert (row.state, row.crashes) == ("SUCCEEDED", 1)
    assert await life.changes.standings([(task, 1)]) == [(Outcome.SUCCEEDED, session)]


async def test_the_late_success_is_stale_once_the_task_is_claimed_again(life: Life) -> None:
    (task,), first, second = await life.submitted(), await life.session(), await life.session()
    await life.claimed(task, first)
    await life.end(task, first, Lost())
    assert len(await life.claimed(task, second, attempt=1)) == 1
    assert moved(await life.end(task, first, Succeeded(b"1"))) == set()
    assert await life.changes.standings([(task, 1)]) == [(Outcome.CRASHED, first)]


@pytest.mark.parametrize("event", [Failed(TaskError("X")), Released()])
async def test_a_late_failure_or_hand_back_of_a_lost_attempt_changes_nothing(life: Life, event: Event) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.end(task, session, Lost())
    assert moved(await life.end(task, session, event)) == set()


async def test_a_success_after_a_reported_failure_is_not_salvaged(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.end(task, session, Released())
    assert (await life.task(task)).state == "QUEUED"
    assert moved(await life.end(task, session, Succeeded(b"1"))) == set()


async def test_a_redriven_task_starts_over_and_its_old_owner_is_forgotten(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.end(task, session, Failed(TaskError("X", retryable=False)))
    await life.changes.apply([decide(Snapshot(task, TaskState.FAILED, 1, 1), Redriven(), random.random)])
    row = await life.task(task)
    assert (row.state, row.attempt, row.failures, (await life.seen(task)).snapshot.session) == ("QUEUED", 1, 0, None)
    assert moved(await life.end(task, session, Succeeded(b"1"))) == set()


async def test_a_redriven_task_has_all_its_crashes_before_it(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.end(task, session, Lost())
    await life.claimed(task, session, attempt=1)
    assert (await life.task(task)).crashes == 1
    await life.decided(task, Failed(TaskError("X", retryable=False)))
    await life.decided(task, Redriven())
    assert (await life.task(task)).crashes == 0


async def test_a_terminal_state_is_never_left_but_by_a_redrive(life: Life) -> None:
    (task,) = await life.submitted()
    waiting = Snapshot(task, TaskState.QUEUED, 0)
    await life.changes.apply([decide(waiting, Cancelled(), random.random)])
    for event in (Cancelled(), Expired()):
        assert moved(await life.changes.apply([decide(waiting, event, random.random)])) == set()
    due = decide(Snapshot(task, TaskState.SCHEDULED, 0), Due(), random.random)
    assert moved(await life.changes.apply([due])) == set()


async def test_a_cancel_asked_for_while_it_ran_ends_what_would_wait_again(life: Life) -> None:
    tasks, session = await life.submitted(*(new() for _ in range(3))), await life.session()
    for task in tasks:
        await life.claimed(task, session)
    assert await life.changes.request_cancel(tasks) == set(tasks)
    events: list[Event] = [Failed(TaskError("X")), Released(), Succeeded(b"1")]
    for task, event in zip(tasks, events, strict=True):
        applied = await life.end(task, session, event)
        assert applied.outbox_id is None
        state = (await life.task(task)).state
        assert [change.target for change in applied.changes if change] == [state]
        assert state == ("SUCCEEDED" if isinstance(event, Succeeded) else "CANCELLED")
        assert (await life.seen(task)).snapshot.session == session


async def test_a_redriven_task_runs_whatever_was_asked_for_before_it_failed(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.end(task, session, Failed(TaskError("X", retryable=False)))
    # As releases before this table left rows whose cancel came while the failure was being written.
    await life.yard.poison(task, cancel_requested=True)
    assert (await life.task(task)).state == "FAILED"
    assert moved(await life.decided(task, Redriven())) == {task}
    assert (await life.task(task)).state == "QUEUED"
    assert len(await life.claimed(task, session, attempt=1)) == 1


async def test_of_two_results_in_one_batch_only_what_changed_the_task_is_told_as_accepted(life: Life) -> None:
    (task,), first, second = await life.submitted(), await life.session(), await life.session()
    await life.claimed(task, first)
    await life.end(task, first, Lost())
    await life.claimed(task, second, attempt=1)

    def success(session: str, attempt: int, result: bytes) -> Transition:
        return decide(Snapshot(task, TaskState.RUNNING, attempt, session=session), Succeeded(result), random.random)

    stale, stranger = success(first, 1, b"1"), success(first, 2, b"2")
    mine, again = success(second, 2, b"3"), success(second, 2, b"4")
    applied = await life.changes.apply([stale, stranger, mine, again])
    assert [change and change.transition for change in applied.changes] == [None, None, mine, None]
    assert (await life.task(task)).result == b"3"


async def test_the_first_of_two_endings_in_one_batch_counts_whatever_it_comes_to(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.end(task, session, Lost())
    running = Snapshot(task, TaskState.RUNNING, 1, session=session)
    late, success = decide(running, Released(), random.random), decide(running, Succeeded(b"1"), random.random)
    assert (await life.changes.apply([late, success])).changes == [None, None]
    assert moved(await life.changes.apply([success])) == {task}


async def test_a_page_counts_all_that_makes_its_tasks_large(life: Life) -> None:
    ids = await life.submitted(*(new() for _ in range(150)))
    session = await life.session()
    for task in ids:
        await life.claimed(task, session)
    failed = Failed(TaskError("T" * 256, "m" * 4096, "s" * 16384, retryable=False))
    seen = [(await life.seen(task)).snapshot for task in ids]
    await life.changes.apply([decide(snapshot, failed, random.random) for snapshot in seen])
    weights = await life.store.tasks.weights([*ids, str(uuid.uuid4())])
    assert set(weights) == set(ids)
    assert {weight for weight in weights.values() if not 21_000 < weight < 22_000} == set()
    page, last = await life.store.tasks.page(TaskFilter(), 1000, None)
    assert sum(weights[task.id] for task in page) <= 2 * 1024 * 1024
    assert last == page[-1].id
    rest, end = await life.store.tasks.page(TaskFilter(), 1000, last)
    assert (len(page) + len(rest), end) == (150, None)


async def test_a_task_redriven_past_its_expiry_can_run(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.end(task, session, Failed(TaskError("X", retryable=False)))
    await life.yard.expire(task)
    await life.changes.apply([decide(Snapshot(task, TaskState.FAILED, 1, 1), Redriven(), random.random)])
    assert len(await life.claimed(task, session, attempt=1)) == 1


async def test_a_task_lost_past_its_expiry_does_not_run_again(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    await life.yard.expire(task)
    await life.end(task, session, Lost())
    assert await life.claimed(task, session, attempt=1) == []


async def test_a_task_redriven_before_its_expiry_still_expires(life: Life) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    (task,), session = await life.submitted(new(expires_at=later)), await life.session()
    await life.claimed(task, session)
    await life.end(task, session, Failed(TaskError("X", retryable=False)))
    await life.decided(task, Redriven())
    assert (await life.task(task)).expires_at == later


async def test_hello_counts_generations_and_revives(life: Life) -> None:
    session = await life.session()
    assert await life.session(id=session, dispatcher="d2") == session
    assert [live.dispatcher for live in await life.sessions.live()] == ["d2"]
    async with life.store.transaction() as transaction:
        assert await transaction.end_session(session, 1, "old news") is None
        assert await transaction.end_session(session, 2, "gone")
        assert await transaction.end_session(session, 2, "twice") is None
    assert await life.sessions.live() == []
    assert await life.sessions.generations([session]) == {session: 0}
    await life.session(id=session)
    assert [(live.id, live.generation) for live in await life.sessions.live()] == [(session, 3)]


async def test_the_word_of_a_former_stream_does_not_drain_a_session(life: Life) -> None:
    session = await life.session()

    async def draining() -> list[bool]:
        workers, _ = await life.store.sessions.workers(None, None, 10)
        return [worker.draining for worker in workers]

    await life.sessions.drain(session, 1)
    assert await draining() == [True]
    await life.session(id=session)
    await life.sessions.drain(session, 1)
    assert await draining() == [False]


async def test_a_session_that_is_given_up_names_the_worker_of_its_last_hello(life: Life) -> None:
    session = await life.session(worker="before", pod="there")
    await life.session(id=session, worker="now", pod="here")
    async with life.store.transaction() as transaction:
        assert await transaction.end_session(session, 2, "gone") == Host("now", "here")
    nameless = await life.session(worker="", pod="")
    async with life.store.transaction() as transaction:
        assert await transaction.end_session(nameless, 1, "gone") == Host("", "")


async def test_a_session_id_cannot_be_taken_over_from_another_namespace(life: Life) -> None:
    session, _ = await life.session(), await life.session(namespace="other")
    with pytest.raises(NamespaceMismatch):
        await life.session(id=session, namespace="other")


async def test_a_session_that_has_a_secret_is_kept_from_those_who_do_not_know_it(life: Life) -> None:
    secret, other = secret_hash(b"one"), secret_hash(b"two")
    session = await life.session()
    assert await life.session(id=session) == session
    await life.session(id=session, secret_hash=secret)
    for wrong in (None, other):
        with pytest.raises(SecretMismatch):
            await life.session(id=session, secret_hash=wrong, worker="thief")
    with pytest.raises(NamespaceMismatch):
        await life.session(id=session, secret_hash=secret, namespace="other")
    assert await life.sessions.generations([session]) == {session: 3}
    async with life.store.transaction() as transaction:
        assert await transaction.end_session(session, 3, "gone") == Host("w", "p")
    with pytest.raises(SecretMismatch):
        await life.session(id=session)
    await life.session(id=session, secret_hash=secret)
    assert await life.sessions.generations([session]) == {session: 4}


async def test_those_who_ask_see_a_name_of_the_session_and_not_its_id(life: Life) -> None:
    (task,), session = await life.submitted(), await life.session()
    await life.claimed(task, session)
    assert [worker.session_id for worker in (await life.store.sessions.workers(None, None, 9))[0]] == [
        public_name(session)
    ]
    assert [run.session_id for run in (await life.store.tasks.attempts(task, 9))[0]] == [public_name(session)]
    await life.end(task, session, Succeeded(b"1"))
    assert [run.session_id for run in (await life.store.tasks.attempts(task, 9))[0]] == [public_name(session)]


async def test_a_claim_and_a_hello_elsewhere_cannot_both_win(life: Life) -> None:
    """Whichever comes first, the adopting dispatcher sees every task that the old one could still claim."""
    for _ in range(20):
        (task,), session = await life.submitted(), await life.session()
        claimed, _ = await asyncio.gather(life.claimed(task, session), life.session(id=session, dispatcher="new"))
        held = await life.sessions.held(session)
        late = await life.claimed(task, session)
        assert late == []
        assert [row.task.task_id for row in held] == [won.task_id for won in claimed]


async def test_nothing_commits_under_an_old_term(life: Life) -> None:
    fence = life.store.leader
    await fence.begin(5, "one")
    async with fence.duty(5) as transaction:
        await transaction.note_lane_epoch("one")
    await fence.begin(7, "two")
    with pytest.raises(TermOver):
        async with fence.duty(5):
            raise AssertionError
    with pytest.raises(TermOver):
        await fence.begin(6, "three")
    await fence.begin(7, "two")
    with pytest.raises(TermOver):
        await fence.begin(7, "one that chose the same number")
    assert await fence.newest() == 7


async def test_a_term_cannot_begin_while_a_duty_of_the_old_one_commits(life: Life) -> None:
    fence = life.store.leader
    await fence.begin(1, "one")
    order: list[str] = []

    async def successor() -> None:
        await fence.begin(2, "two")
        order.append("begun")

    async with fence.duty(1):
        late = await waiting(life.yard, successor())
        order.append("committed")
    await late
    assert order == ["committed", "begun"]
