"""What every task store promises of transactions: all or nothing, unseen until committed, rows held until their end."""

import asyncio

import pytest
import uuid_utils

from taskyard_core.domain.submission import build
from taskyard_core.domain.task import TaskState
from taskyard_core.domain.transitions import Cancelled, Lost, Released, Transition, decide
from taskyard_core.storage.claims import Bid, Head
from taskyard_core.storage.sessions import SessionRecord
from taskyard_core.storage.store import TaskStore
from taskyard_core.storage.submissions import NewTask, Submitted
from taskyard_core.storage.tasks import TaskFilter
from taskyard_core.storage.term import TermOver
from taskyard_core.storage.unavailable import StoreUnavailable
from tests.conformance.task_stores import Yard, moved, waiting


async def submitted(store: TaskStore, count: int = 1, **fields: object) -> list[str]:
    specs = [build(type="demo.echo", payload=b"1", **fields) for _ in range(count)]  # type: ignore[arg-type]
    receipt = await store.submissions.submit([NewTask(str(uuid_utils.uuid7()), spec) for spec in specs])
    return [outcome.task_id for outcome in receipt.outcomes if isinstance(outcome, Submitted)]


async def running(store: TaskStore, count: int = 1) -> tuple[list[str], str]:
    """Tasks that a session runs, and the session."""
    session = str(uuid_utils.uuid4())
    record = SessionRecord(id=session, namespace="default", worker="w", dispatcher="d", types=["demo.echo"], slots=9)
    await store.sessions.adopt(record)
    tasks = await submitted(store, count)
    await store.changes.claim([Bid(task, 0, session) for task in tasks], {session: 1})
    return tasks, session


async def decided(store: TaskStore, task: str, event: Cancelled | Lost | Released) -> Transition:
    found = await store.tasks.decidable(task)
    assert found is not None
    return decide(found.snapshot, event, lambda: 0.5)


async def state(store: TaskStore, task: str) -> TaskState:
    return (await store.tasks.states([task]))[task]


async def test_nobody_sees_what_is_not_committed(yard: Yard) -> None:
    store = yard.store
    (task,) = await submitted(store)
    async with store.transaction() as transaction:
        assert moved(await transaction.apply([await decided(store, task, Cancelled())])) == {task}
        assert await state(store, task) is TaskState.QUEUED
    assert await state(store, task) is TaskState.CANCELLED


async def test_a_transaction_that_fails_leaves_nothing_behind(yard: Yard) -> None:
    store = yard.store
    (task,), session = await running(store)
    before = await store.queued.backlog()
    lost = await decided(store, task, Lost())

    async def fails() -> None:
        async with store.transaction() as transaction:
            assert await transaction.end_session(session, 1, "gone")
            assert moved(await transaction.apply([lost])) == {task}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert [held.task.task_id for held in await store.sessions.held(session)] == [task]
    assert await store.sessions.generations([session]) == {session: 1}
    assert (await store.tasks.attempts(task, 50))[0]
    assert (await store.queued.backlog())[0] == before[0]
    assert moved(await store.changes.apply([lost])) == {task}


async def test_a_change_waits_for_who_holds_the_row_and_then_finds_it_moved(yard: Yard) -> None:
    store = yard.store
    (task,), session = await running(store)
    lost, released = await decided(store, task, Lost()), await decided(store, task, Released())
    async with store.transaction() as transaction:
        assert len(await transaction.held(session)) == 1
        late = await waiting(yard, store.changes.apply([released]))
        await transaction.apply([lost])
    assert moved(await late) == set()
    assert [attempt.outcome for attempt in (await store.tasks.attempts(task, 50))[0]] == ["CRASHED"]


async def test_what_somebody_holds_is_left_out_by_those_who_take_what_is_free(yard: Yard) -> None:
    store = yard.store
    tasks = await submitted(store, 3, delay=0.0001)
    while not await store.tasks.any_due():  # noqa: ASYNC110 - time is what comes
        await asyncio.sleep(0.001)
    async with store.transaction() as first, store.transaction() as second:
        one = await first.lock_due(1)
        others = await second.lock_due(10)
    assert sorted(task.snapshot.id for task in [*one, *others]) == sorted(tasks)
    assert len(one) == 1


async def test_a_claim_and_the_end_of_its_session_cannot_both_win(yard: Yard) -> None:
    store = yard.store
    _, session = await running(store)
    (task,) = await submitted(store)
    async with store.transaction() as transaction:
        assert await transaction.end_session(session, 1, "gone")
        claim = await waiting(yard, store.changes.claim([Bid(task, 0, session)], {session: 1}))
    assert await claim == []
    assert await state(store, task) is TaskState.QUEUED


async def test_a_claim_waits_for_who_changes_the_task_and_then_finds_it_moved(yard: Yard) -> None:
    store = yard.store
    _, session = await running(store)
    (task,) = await submitted(store)
    async with store.transaction() as transaction:
        await transaction.apply([await decided(store, task, Cancelled())])
        claim = await waiting(yard, store.changes.claim([Bid(task, 0, session)], {session: 1}))
    assert await claim == []
    assert await state(store, task) is TaskState.CANCELLED


async def test_heads_that_were_assigned_to_nobody_are_free_again(yard: Yard) -> None:
    store = yard.store
    (task,) = await submitted(store)
    seen: list[Head] = []

    def to_nobody(heads: object) -> list[Bid]:
        seen.extend(heads)  # type: ignore[arg-type]
        return []

    lane = (await store.queued.lanes("", 100)).names[0]
    assert await store.changes.claim_heads({lane: 5}, {}, to_nobody) == []
    assert await store.changes.claim_heads({lane: 5}, {}, to_nobody) == []
    assert seen == [Head(task, 0, lane)] * 2


async def test_a_duty_that_stands_still_holds_up_the_next_term_for_two_seconds_only(yard: Yard) -> None:
    fence, store = yard.store.leader, yard.store
    (task,) = await submitted(store)
    await fence.begin(1, "one")
    cancelled = await decided(store, task, Cancelled())

    async def stands_still() -> None:
        async with fence.duty(1) as transaction:
            await transaction.apply([cancelled])
            await fence.begin(2, "two")

    async with asyncio.timeout(4):
        with pytest.raises(StoreUnavailable):
            await stands_still()
    assert await state(store, task) is TaskState.QUEUED
    with pytest.raises(TermOver):
        await fence.begin(1, "one")


async def test_two_that_wait_for_each_other_do_not_wait_for_ever(yard: Yard) -> None:
    store = yard.store
    (one,), first = await running(store)
    (two,), second = await running(store)
    meet = asyncio.Barrier(2)

    async def both(mine: str, others: str) -> None:
        async with store.transaction() as transaction:
            await transaction.held(mine)
            await meet.wait()
            await transaction.held(others)

    ended = await asyncio.gather(both(first, second), both(second, first), return_exceptions=True)
    assert sorted(type(error).__name__ for error in ended) == ["NoneType", "NothingDone"]
    assert {await state(store, task) for task in (one, two)} == {TaskState.RUNNING}


async def test_the_lanes_epoch_is_noted_with_the_term(yard: Yard) -> None:
    fence = yard.store.leader
    await fence.begin(3, "three")
    async with fence.duty(3) as transaction:
        await transaction.note_lane_epoch("e")
        assert await fence.lane_epoch() == ""
    assert await fence.lane_epoch() == "e"


async def test_purged_tasks_leave_no_attempt_and_no_key(yard: Yard) -> None:
    store = yard.store
    task = NewTask(str(uuid_utils.uuid7()), build(type="demo.echo", payload=b"1", idempotency_key="k"), b"h")
    await store.submissions.submit([task])
    async with store.transaction() as transaction:
        await transaction.purge([task.id])
    assert await store.tasks.page(TaskFilter(), 10, None) == ([], None)
    again = NewTask(str(uuid_utils.uuid7()), task.spec, b"h")
    (outcome,) = (await store.submissions.submit([again])).outcomes
    assert isinstance(outcome, Submitted)
    assert (outcome.task_id, outcome.deduplicated) == (again.id, False)
