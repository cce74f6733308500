"""Lists look at a bounded number of tasks for a page, and say where to go on."""

import random
from collections.abc import Sequence

import orjson
import pytest

from taskyard_core.domain import limits
from taskyard_core.domain.session_names import public_name
from taskyard_core.domain.task import RetryPolicy, Task, TaskError, TaskState
from taskyard_core.domain.transitions import Failed, Succeeded
from taskyard_core.storage.queues import Place
from taskyard_core.storage.tasks import PAGE_BYTES, TaskFilter
from taskyard_core.storage.workers import Worker, WorkerPlace
from tests.conformance.task_stores import Yard
from tests.conformance.test_task_store import Life, new


async def pages(life: Life, wanted: TaskFilter, size: int) -> list[list[Task]]:
    """All pages of a list."""
    found: list[list[Task]] = []
    after: str | None = None
    while after or not found:
        page, after = await life.store.tasks.page(wanted, size, after)
        found.append(page)
    return found


def ids(found: list[list[Task]]) -> list[str]:
    return [task.id for page in found for task in page]


async def test_a_page_looks_at_so_many_tasks_and_may_be_empty(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(yard)
    rare = await life.submitted(*(new(queue="rare") for _ in range(3)))
    many = await life.submitted(*(new() for _ in range(23)))
    session = await life.session(slots=100)
    for task in (*rare, *many):
        assert await life.claimed(task, session)
        await life.end(task, session, Succeeded(b"1"))
    monkeypatch.setattr(limits, "PAGE_SCAN", 5)
    found = await pages(life, TaskFilter(queue="rare"), 2)
    assert [len(page) for page in found] == [0, 0, 0, 0, 2, 1]
    assert ids(found) == sorted(rare, reverse=True)
    for wanted in (TaskFilter(), TaskFilter(state=TaskState.SUCCEEDED), TaskFilter(type="demo.echo")):
        assert ids(await pages(life, wanted, 4)) == sorted([*rare, *many], reverse=True)
    assert ids(await pages(life, TaskFilter(error_type="None"), 4)) == []


@pytest.mark.parametrize("most", [5, 100])
async def test_a_state_with_few_tasks_is_listed_whole_and_one_with_many_in_steps(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    life = Life(yard)
    session = await life.session(slots=100)
    failed = await life.submitted(*(new(queue="rare") for _ in range(7)))
    ended = await life.submitted(*(new() for _ in range(30)))
    waiting = await life.submitted(*(new(delay=60.0) for _ in range(3)))
    for task in (*failed, *ended):
        assert await life.claimed(task, session)
        outcome = Failed(TaskError("E", "m", "s", retryable=False)) if task in failed else Succeeded(b"1")
        await life.end(task, session, outcome)
    monkeypatch.setattr(limits, "PAGE_SCAN", most)
    found = await pages(life, TaskFilter(state=TaskState.FAILED, error_type="E"), 3)
    assert ids(found) == sorted(failed, reverse=True)
    assert (len(found) == 3) == (most == 100)
    assert ids(await pages(life, TaskFilter(state=TaskState.FAILED, error_type="F"), 3)) == []
    scheduled = await pages(life, TaskFilter(state=TaskState.SCHEDULED), 3)
    assert (len(scheduled), ids(scheduled)) == (1, sorted(waiting, reverse=True))


async def test_queues_come_in_pages(yard: Yard) -> None:
    queues = yard.store.queues
    names = [("a", f"q{number:03}") for number in range(7)] + [("b", "q")]
    await queues.register(names)
    found: list[Place] = []
    after: Place | None = None
    while page := await queues.page(None, after, 3):
        found += [(queue.namespace, queue.name) for queue in page]
        after = found[-1]
    assert found == names
    assert [queue.name for queue in await queues.page("b", None, 3)] == ["q"]
    assert await queues.get("a", "nobody") is None


async def test_so_many_queues_have_settings_and_they_can_be_taken_back(yard: Yard) -> None:
    queues = yard.store.queues
    await queues.register([("n", "used")])
    assert await queues.update("n", "a", RetryPolicy(max_attempts=3), None, 2)
    assert await queues.update("n", "used", None, 5, 2)
    assert not await queues.update("n", "b", None, 5, 2)
    assert await queues.update("n", "a", RetryPolicy(max_attempts=4), 9, 2)
    assert await queues.update("n", "a", RetryPolicy(), 0, 2)
    assert await queues.retries() == {}
    assert await queues.update("n", "b", None, 5, 2)
    assert await queues.limits() == {("n", "used"): 5, ("n", "b"): 5}


async def worker_pages(life: Life, namespace: str | None, size: int) -> list[list[Worker]]:
    """All pages of the list of workers."""
    found: list[list[Worker]] = []
    after: WorkerPlace | None = None
    while after or not found:
        page, after = await life.store.sessions.workers(namespace, after, size)
        found.append(page)
    return found


def workers_of(found: Sequence[Sequence[Worker]]) -> list[str]:
    return [worker.session_id for page in found for worker in page]


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9, 1000])
async def test_workers_come_in_pages_by_name_none_twice_and_none_left_out(yard: Yard, size: int) -> None:
    """Also those that have the same name, as replicas do."""
    life = Life(yard)
    sessions = [
        await life.session(namespace=namespace, worker=worker)
        for namespace, worker in (("n", "b"), ("n", "a/c"), ("m", "z"), *[("n", "same")] * 5)
    ]
    gone = await life.session(namespace="n", worker="gone")
    async with life.store.transaction() as transaction:
        assert await transaction.end_session(gone, 1, "gone")
    (task,) = await life.submitted()
    assert await life.claimed(task, sessions[3])
    found = await worker_pages(life, None, size)
    assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)
    assert (len(workers_of(found)), found[-1] != []) == (8, True)
    assert sorted(workers_of(found)) == sorted(map(public_name, sessions))
    named = [(worker.namespace, worker.name) for page in found for worker in page]
    assert named == sorted(named)
    assert {worker.session_id: worker.running for page in found for worker in page if worker.running} == {
        public_name(sessions[3]): 1
    }
    of_namespace = await worker_pages(life, "m", size)
    assert workers_of(of_namespace) == [public_name(sessions[2])]
    assert await worker_pages(life, "none", size) == [[]]


async def test_large_workers_make_short_pages_and_one_that_is_larger_than_a_page_is_shown_alone(
    yard: Yard,
) -> None:
    life = Life(yard)

    def names(length: int) -> list[str]:
        return ["".join(random.choices("abcdefgh", k=length)) for _ in range(1000)]

    large = [await life.session(worker="w", types=names(128), queues=names(63)) for _ in range(25)]
    huge = await life.session(worker="v", types=names(3000))
    found = await worker_pages(life, None, 1000)
    assert sorted(workers_of(found)) == sorted(map(public_name, [*large, huge]))
    assert workers_of(found[:1]) == [public_name(huge)]
    sizes = [sum(len(orjson.dumps(worker)) for worker in page) for page in found]
    assert all(PAGE_BYTES - 200_000 < size <= PAGE_BYTES for size in sizes[1:-1])
    assert sizes[-1] <= PAGE_BYTES
    assert len(found) == 4
