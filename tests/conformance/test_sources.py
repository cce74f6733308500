"""Whichever store tasks are read from, they go one way: by shares, to free slots only, and past a bad neighbour."""

import asyncio
import itertools
import math
import uuid
from collections import Counter
from typing import Any

import pytest
import pytest_asyncio
import uuid_utils

from simulation.memory.redis import MemoryDelivery, RedisServer
from taskyard_core.domain.lanes import Lane
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.submission import build
from taskyard_core.domain.transitions import Runner
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.storage.lanes import Quota
from taskyard_core.storage.sessions import SessionRecord
from taskyard_core.storage.submissions import NewTask
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.telemetry.facade import Telemetry
from taskyard_dispatcher.dispatch import gates
from taskyard_dispatcher.dispatch.board import LaneBoard
from taskyard_dispatcher.dispatch.outages import Outages
from taskyard_dispatcher.dispatch.pipeline import Claiming, Source, fill
from taskyard_dispatcher.dispatch.sources import LaneSource, TableSource
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.outcomes.resending import Resending
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Session
from tests.conformance.outcomes import completion
from tests.conformance.task_stores import Yard


class Bench:
    """One session, whose tasks end as soon as it has them, and all that dispatch consists of."""

    def __init__(self, yard: Yard, kind: str) -> None:
        self.yard = yard
        self.store = yard.store
        words = (f"word{number}" for number in itertools.count())
        self.lanes = MemoryDelivery(RedisServer(asyncio.get_running_loop().time, lambda: next(words))).lanes
        self.roster = Roster()
        self.board = LaneBoard(self.roster)
        self.outages = Outages()
        clock = SystemClock()
        handover = Handover(completion(yard.store))
        claiming = Claiming(
            handover=handover,
            resending=Resending(yard.store.sessions, handover, clock),
            telemetry=Telemetry.silent(),
            clock=clock,
            outages=self.outages,
        )
        sources: dict[str, Source] = {
            "lanes": LaneSource(
                consumer="d",
                board=self.board,
                lanes=self.lanes,
                changes=yard.store.changes,
                claiming=claiming,
                clock=clock,
                slots_freed=lambda: None,
            ),
            "tables": TableSource(yard.store.changes, claiming, clock),
        }
        self.source = sources[kind]

    async def session(self, slots: int) -> Session:
        id = str(uuid.uuid4())
        record = SessionRecord(id=id, namespace="default", worker="w", dispatcher="d", types=["t"], slots=slots)
        await self.store.sessions.adopt(record)
        capabilities = Capabilities("default", frozenset(["t"]))
        session = Session(
            id=id, generation=1, runner=Runner(id, "w"), capabilities=capabilities, slots=slots, draining=False
        )
        self.roster.put(session)
        return session

    async def tasks(self, count: int, **fields: Any) -> list[str]:
        new = [NewTask(str(uuid_utils.uuid7()), build(type="t", payload=b"1", **fields)) for _ in range(count)]
        await self.store.submissions.submit(new)
        lane = Lane("default", "default", "t", new[0].spec.priority, "").name
        await self.lanes.publish({lane: [(task.id, 0) for task in new]})
        self.board.learn([lane])
        return [task.id for task in new]

    async def sent(self, session: Session) -> list[str]:
        """The next that the session is sent, once nothing more is being claimed for it. All of it has ended then."""
        ready = asyncio.Event()
        session.notify_writer(ready.set)
        while not (sent := [one.task_id for frame in session.frames() for one in frame.assignments]):
            await ready.wait()
            ready.clear()
        while session.free + len(session.running) < session.slots:  # noqa: ASYNC110 - slots tell nobody
            await asyncio.sleep(0)
        for task in sent:
            session.forget(task, 1)
        return sent


@pytest_asyncio.fixture(loop_scope="session", params=["lanes", "tables"])
async def bench(yard: Yard, request: pytest.FixtureRequest) -> Bench:
    return Bench(yard, request.param)


async def test_priorities_share_alike(bench: Bench) -> None:
    session = await bench.session(slots=2)
    priority_of: dict[str, int] = {}
    for priority in (0, 1, 2):
        priority_of |= dict.fromkeys(await bench.tasks(40, priority=priority), priority)
    given_out = Counter[int]()
    while given_out.total() < 38:
        assert await fill(bench.board, bench.source, bench.outages)
        for task in await bench.sent(session):
            given_out[priority_of[task]] += 1
    # 1 : 1.5 : 2.25 of 4.75, give or take one.
    assert all(abs(given_out[priority] - 8 * 1.5**priority) <= 1 for priority in range(3))


async def test_what_one_lane_lacks_others_get(bench: Bench) -> None:
    session = await bench.session(slots=10)
    tasks = [*await bench.tasks(2, priority=9), *await bench.tasks(7, priority=1)]
    await fill(bench.board, bench.source, bench.outages)
    assert sorted(await bench.sent(session)) == sorted(tasks)


async def test_no_slot_is_filled_twice_and_none_is_lost(bench: Bench) -> None:
    session = await bench.session(slots=3)
    poisoned, *others = await bench.tasks(7)
    await bench.yard.poison(poisoned, timeout=math.inf)
    done: list[str] = []
    while len(done) < len(others):
        await fill(bench.board, bench.source, bench.outages)
        assert session.free >= 0
        done += await bench.sent(session)
    assert sorted(done) == sorted(others)


async def test_what_is_reclaimed_passes_the_gates(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    if not isinstance(bench.source, LaneSource):
        pytest.skip("nothing is pending in tables")
    session = await bench.session(slots=5)
    tasks = await bench.tasks(5)
    (lane,) = bench.board.served(1)
    monkeypatch.setattr(gates, "READ_SIZE", 2)
    # Read by a dispatcher that died.
    assert len(await bench.lanes.take("other", [Quota(lane, 5)], 5)) == 5
    await bench.source.reclaim([lane], 0.0)
    sent = await bench.sent(session)
    assert len(sent) == 2
    assert set(sent) < set(tasks)


async def test_nothing_is_read_while_postgres_is_away(bench: Bench) -> None:
    await bench.session(slots=3)
    await bench.tasks(1)
    bench.outages.began(StoreUnavailable("postgres", "away"))
    assert not await fill(bench.board, bench.source, bench.outages)
    bench.outages.ended("postgres")
    assert await fill(bench.board, bench.source, bench.outages)
