"""Whatever locks several rows does so in one order: of two that want the same, one waits and none is undone."""

import asyncio

import pytest

from taskyard_core.domain.transitions import Cancelled, Released
from taskyard_core.storage import retrying
from taskyard_core.storage.claims import Bid
from taskyard_core.storage.sessions import Held
from taskyard_core.storage.submissions import Submitted
from tests.conformance.task_stores import Yard, moved, waiting
from tests.conformance.test_task_store import Life, new
from tests.conformance.test_transactions import decided


@pytest.fixture
def life(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> Life:
    # Else what is undone is done again, and nobody notices but by the time that it takes.
    monkeypatch.setattr(retrying, "_TRIES", 1)
    return Life(yard)


async def test_claims_lock_tasks_in_the_order_of_their_ids(life: Life) -> None:
    (low, high), session = sorted(await life.submitted(new(), new())), await life.session()
    async with life.store.transaction() as transaction:
        await transaction.apply([await decided(life.store, low, Cancelled())])
        bids = [Bid(high, 0, session), Bid(low, 0, session)]
        claim = await waiting(life.yard, life.changes.claim(bids, {session: 1}))
        await transaction.apply([await decided(life.store, high, Cancelled())])
    assert await claim == []


async def test_claims_lock_sessions_in_the_order_of_their_ids(life: Life) -> None:
    one, other = await life.submitted(new(), new())
    low, high = sorted([await life.session(), await life.session()])
    async with life.store.transaction() as transaction:
        await transaction.end_session(low, 1, "gone")
        bids = [Bid(one, 0, high), Bid(other, 0, low)]
        claim = await waiting(life.yard, life.changes.claim(bids, {high: 1, low: 1}))
        await transaction.end_session(high, 1, "gone")
    assert await claim == []


async def test_tasks_of_a_session_are_locked_in_the_order_of_their_ids(life: Life) -> None:
    (low, high), session = sorted(await life.submitted(new(), new())), await life.session()
    for task in (high, low):
        await life.claimed(task, session)

    async def held() -> list[Held]:
        async with life.store.transaction() as another:
            return await another.held(session)

    async with life.store.transaction() as transaction:
        await transaction.apply([await decided(life.store, low, Released())])
        late = await waiting(life.yard, held())
        await transaction.apply([await decided(life.store, high, Released())])
    assert await late == []


async def test_changes_lock_tasks_in_the_order_of_their_ids(life: Life) -> None:
    low, high = sorted(await life.submitted(new(), new()))
    low_cancelled, high_cancelled = [await decided(life.store, task, Cancelled()) for task in (low, high)]
    async with life.store.transaction() as transaction:
        await transaction.apply([low_cancelled])
        late = await waiting(life.yard, life.changes.apply([high_cancelled, low_cancelled]))
        await transaction.apply([high_cancelled])
    assert moved(await late) == set()


async def test_batches_take_keys_in_one_order(life: Life) -> None:
    taken = await life.submitted(new("a1", b"h"), new("a2", b"h"))
    orders = ("x", "a1", "y"), ("y", "a2", "x")
    batches = [[new(key, b"h") for key in order] for order in orders]
    async with life.store.transaction() as transaction:
        await transaction.purge(taken)
        late = [await waiting(life.yard, life.submissions.submit(batch)) for batch in batches]
    receipts = await asyncio.gather(*late)
    tasks = {one.task_id for receipt in receipts for one in receipt.outcomes if isinstance(one, Submitted)}
    assert len(tasks) == len({"a1", "a2", "x", "y"})
