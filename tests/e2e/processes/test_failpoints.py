"""Servers crash or stop exactly between two of their steps: nothing is lost, run twice, or run that must not be."""

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from taskyard import Client, TaskHandle, TaskRequest, TaskyardError
from taskyard_core.runtime.failpoints import PLACES
from taskyard_server.dev.process import Process
from tests.e2e.conftest import Figure
from tests.e2e.crew import Crew, own_crew, serves
from tests.e2e.eventually import eventually

DISPATCHER_PLACES = ("lane-taken", "claimed", "result-received", "outcome-committed")
TASKS = 100
CRASHES = 10.0
SETTLES = 20.0
IN_TRANSACTION = "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE $1 AND state = 'idle in transaction'"


class Stage:
    """A scheduler and a client that always work, a dispatcher that is armed for each test, and its worker."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.scheduler = crew.scheduler("scheduler")
        self.dispatcher = crew.dispatcher("dispatcher")
        self.process: Process | None = None

    async def arm(self, failpoints: str) -> Process:
        """Run the dispatcher with these failpoints, and its worker at work with it."""
        if self.process is not None:
            await self.process.stop(grace=10)
        self.process = await self.dispatcher.start(failpoints)
        await serves(self.scheduler, "worker", self.dispatcher)
        return self.process

    async def submit(self, client: Client, *, delay: float | None = None) -> list[str]:
        """Have tasks accepted."""
        outcomes = await client.submit_many([TaskRequest("journal.run", n, delay=delay) for n in range(TASKS)])
        ids = [outcome.id for outcome in outcomes if isinstance(outcome, TaskHandle)]
        assert len(ids) == TASKS, outcomes
        return ids

    async def check_once(self, ids: list[str]) -> None:
        """Each task ends, in its first attempt, which ran once."""
        await eventually(lambda: self.crew.records.all_ended(ids), within=SETTLES)
        assert await self.crew.records.not_once(ids) == []
        assert sorted(run for run in self.crew.runs() if run[0] in set(ids)) == [(task, 1) for task in sorted(ids)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with own_crew(tmp_path_factory.mktemp("failpoints")) as crew:
        stage = Stage(crew)
        crew.worker("worker", stage.dispatcher)
        await stage.scheduler.start()
        yield stage


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def client(stage: Stage) -> AsyncIterator[Client]:
    async with Client(stage.scheduler.grpc) as client:
        yield client


def test_all_places_of_the_hot_path_are_tried_here() -> None:
    hot = {place for place in PLACES if not place.startswith("duty-")}
    assert hot == {"submit-committed", *DISPATCHER_PLACES}


@pytest.mark.parametrize("place", DISPATCHER_PLACES)
async def test_a_dispatcher_crashes_there(stage: Stage, client: Client, figure: Figure, place: str) -> None:
    process = await stage.arm(f"{place}=crash#1")
    ids = await stage.submit(client)
    assert await process.wait(CRASHES) == -signal.SIGKILL
    unended = TASKS - (await stage.crew.records.states(ids)).get("SUCCEEDED", 0)
    figure(f"{place}: tasks whose outcome was not stored at the crash", unended)
    await stage.arm("")
    await stage.check_once(ids)


async def test_a_scheduler_crashes_after_its_commit(stage: Stage, client: Client) -> None:
    """Whether the submits succeeded is unknown; sent again with their keys, they are what is there already."""
    await stage.arm("")
    doomed = stage.crew.scheduler("doomed")
    process = await doomed.start("submit-committed=crash#1")
    requests = [TaskRequest("journal.run", n, idempotency_key=f"doomed-{n}") for n in range(TASKS)]
    async with Client(doomed.grpc) as unlucky:
        sending = asyncio.create_task(unlucky.submit_many(requests))
        assert await process.wait(CRASHES) == -signal.SIGKILL
        sending.cancel()
        with pytest.raises((asyncio.CancelledError, TaskyardError)):
            await sending
    outcomes = [found for found in await client.submit_many(requests) if isinstance(found, TaskHandle)]
    assert len(outcomes) == TASKS
    assert all(outcome.deduplicated for outcome in outcomes)
    await stage.check_once([outcome.id for outcome in outcomes])


async def test_a_leader_stops_within_its_transaction(stage: Stage, client: Client, figure: Figure) -> None:
    """The next leader need not wait for it, what was cancelled meanwhile never runs, and awake it changes nothing."""
    stopped = await stage.arm("duty-promotion=stop#1")
    successor = stage.crew.dispatcher("successor")
    stage.crew.worker("other-worker", successor)
    ids = await stage.submit(client, delay=0.2)
    leads = f"{stage.dispatcher.name}-%-duties"

    async def holds_its_transaction() -> bool:
        return bool(await stage.crew.records.fetch(IN_TRANSACTION, leads))

    await eventually(holds_its_transaction, within=CRASHES)
    try:
        await successor.start()
        cancelled, kept = ids[::2], ids[1::2]
        await asyncio.gather(*(client.cancel(task) for task in cancelled))
        await serves(stage.scheduler, "other-worker", successor)
        await eventually(lambda: stage.crew.records.all_ended(ids), within=SETTLES)
    finally:
        stopped.send(signal.SIGCONT)
    await stopped.stop(grace=10)
    assert stopped.exit_code == 0
    figure("tasks promoted by the next leader", len(kept))
    await stage.check_once(kept)
    assert await stage.crew.records.states(cancelled) == {"CANCELLED": len(cancelled)}
    assert not {task for task, _ in stage.crew.runs()} & set(cancelled)
