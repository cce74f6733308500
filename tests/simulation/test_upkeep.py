"""What a dispatcher's upkeep does by the clock, with a store in memory and under virtual time."""

import asyncio
import uuid
from collections.abc import Sequence
from random import Random

import pytest
import uuid_utils

from simulation.chance import EPOCH, VirtualClock
from simulation.loop import VirtualLoop
from simulation.memory.link import Direct
from simulation.memory.postgres import MemoryTaskStore, TaskServer
from simulation.memory.redis import MemoryDelivery, RedisServer
from taskyard_core.aftermath.aftermath import Aftermath
from taskyard_core.aftermath.announcements import Announcements
from taskyard_core.aftermath.publication import Publication
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.submission import build
from taskyard_core.domain.task import TaskState
from taskyard_core.domain.transitions import Runner
from taskyard_core.storage.claims import Bid
from taskyard_core.storage.sessions import RunningRef, SessionRecord
from taskyard_core.storage.submissions import NewTask
from taskyard_core.telemetry.facade import Telemetry
from taskyard_dispatcher.outcomes.completion import Completion
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.outcomes.queues import QueueDefaults
from taskyard_dispatcher.outcomes.resending import Resending
from taskyard_dispatcher.outcomes.upkeep import INTERVAL, PATIENCE, Upkeep
from taskyard_dispatcher.sessions.roster import Roster
from taskyard_dispatcher.sessions.state import Running, Session

STOP_GRACE = 30.0


class Stage:
    """One dispatcher's upkeep, one session of it, and the store."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.store = MemoryTaskStore(TaskServer(lambda: EPOCH + loop.time(), lambda _: None), Direct())
        delivery = MemoryDelivery(RedisServer(loop.time, lambda: "id"), timeout=None)
        clock, roster, telemetry = VirtualClock(loop), Roster(), Telemetry.silent()
        aftermath = Aftermath(Publication(delivery.lanes, self.store.queued), Announcements(delivery.hints), telemetry)
        queues = QueueDefaults(self.store.queues)
        completion = Completion(
            changes=self.store.changes,
            aftermath=aftermath,
            queues=queues,
            telemetry=telemetry,
            clock=clock,
            slots_freed=lambda: None,
        )
        self.upkeep = Upkeep(
            roster=roster,
            sessions=self.store.sessions,
            resending=Resending(self.store.sessions, Handover(completion), clock),
            completion=completion,
            queues=queues,
            clock=clock,
            stop_grace=STOP_GRACE,
        )
        self.session = Session(
            id=str(uuid.uuid4()),
            generation=1,
            runner=Runner("s", "w"),
            capabilities=Capabilities("default", frozenset(["x"])),
            slots=9,
            draining=False,
        )
        roster.put(self.session)

    async def hello(self) -> None:
        """The session is in the store as well."""
        record = SessionRecord(
            id=self.session.id, namespace="default", worker="w", dispatcher="d", types=["x"], slots=9
        )
        await self.store.sessions.adopt(record)

    async def runs(self, *, sent: bool = True, payload: bytes = b"1") -> str:
        """A task that the session runs, of which it knows or not."""
        task = NewTask(str(uuid_utils.uuid7()), build(type="x", payload=payload))
        await self.store.submissions.submit([task])
        (claimed,) = await self.store.changes.claim([Bid(task.id, 0, self.session.id)], {self.session.id: 1})
        if sent:
            self.session.assign([Running(claimed, self.loop.time())], [])
        return task.id

    async def told(self) -> float:
        """When the worker is told to stop something."""
        ready = asyncio.Event()
        self.session.notify_writer(ready.set)
        while not any(frame.stops for frame in self.session.frames()):
            await ready.wait()
            ready.clear()
        return self.loop.time()

    async def ended(self, task: str) -> float:
        """When it is CANCELLED."""
        while (await self.store.tasks.states([task]))[task] is not TaskState.CANCELLED:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return self.loop.time()


@pytest.mark.parametrize("hinted", [True, False])
@pytest.mark.parametrize("moment", [0.01, 1.0, 4.9, 5.1, 7.5, 9.99])
@pytest.mark.parametrize("age", [0.0, 0.3, 20.0])
def test_a_handler_that_does_not_stop_is_given_up_half_a_minute_after_it_was_asked_to(
    hinted: bool, moment: float, age: float
) -> None:
    """Whether the hint of the cancel comes or not, and whenever: not when upkeep happens to look."""

    async def main(loop: VirtualLoop) -> tuple[float, float]:
        stage = Stage(loop)
        await stage.hello()
        upkeep = asyncio.create_task(stage.upkeep.run())
        await asyncio.sleep(moment)
        task = await stage.runs()
        await asyncio.sleep(age)
        await stage.store.changes.request_cancel([task])
        asked = loop.time()
        if hinted:
            stage.upkeep.cancel([task])
        told = await stage.told()
        ended = await stage.ended(task)
        upkeep.cancel()
        return told - asked, ended - asked

    with VirtualLoop(Random(1), 1_000_000) as loop:
        told, ended = loop.run(main(loop))
    assert told <= (0.0 if hinted else INTERVAL + 0.1)
    assert STOP_GRACE - (0.0 if hinted else INTERVAL + 0.1) <= ended <= STOP_GRACE + PATIENCE + 0.1


def test_what_ends_in_time_is_not_given_up() -> None:
    async def main(loop: VirtualLoop) -> int:
        stage = Stage(loop)
        await stage.hello()
        upkeep = asyncio.create_task(stage.upkeep.run())
        task = await stage.runs()
        await asyncio.sleep(1)
        await stage.store.changes.request_cancel([task])
        stage.upkeep.cancel([task])
        stage.session.forget(task, 1)
        await asyncio.sleep(60)
        upkeep.cancel()
        # The store still has it as running: it is sent again, as one that the session lacks.
        return len((await stage.store.tasks.attempts(task, 9))[0])

    with VirtualLoop(Random(1), 1_000_000) as loop:
        assert loop.run(main(loop)) == 1


def test_an_attempt_that_was_never_sent_is_sent_at_the_second_look() -> None:
    async def main(loop: VirtualLoop) -> float:
        stage = Stage(loop)
        await stage.hello()
        upkeep = asyncio.create_task(stage.upkeep.run())
        await asyncio.sleep(1)
        task = await stage.runs(sent=False)
        began = loop.time()
        while not stage.session.runs(task, 1):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        upkeep.cancel()
        return loop.time() - began

    with VirtualLoop(Random(1), 1_000_000) as loop:
        assert 5.0 < loop.run(main(loop)) < 10.5


def test_a_worker_that_does_not_read_is_sent_no_more_of_what_it_lacks() -> None:
    async def main(loop: VirtualLoop) -> list[int]:
        stage = Stage(loop)
        await stage.hello()
        for _ in range(40):
            await stage.runs(sent=False, payload=b'"' + b"x" * 200_000 + b'"')
        running: list[int] = []
        for read in (False, False, False, False, True, False):
            if read:
                stage.session.frames()
                stage.session.sent()
            await asyncio.sleep(INTERVAL)
            await stage.upkeep.run_once()
            running.append(len(stage.session.running))
        return running

    with VirtualLoop(Random(1), 1_000_000) as loop:
        assert loop.run(main(loop)) == [0, 21, 21, 21, 40, 40]


def test_what_a_session_lacks_takes_slots_whichever_order_the_store_tells_it_in() -> None:
    async def main(loop: VirtualLoop) -> list[int]:
        stage = Stage(loop)
        await stage.hello()
        running = stage.store.sessions.running

        async def youngest_first(sessions: Sequence[str], age: float) -> list[RunningRef]:
            return sorted(await running(sessions, age), key=lambda ref: ref.task_id, reverse=True)

        stage.store.sessions.running = youngest_first  # type: ignore[method-assign]
        for _ in range(60):
            await stage.runs(sent=False, payload=b'"' + b"x" * 200_000 + b'"')
        stage.session.lacks(60)
        held: list[int] = []
        for _ in range(4):
            await asyncio.sleep(INTERVAL)
            await stage.upkeep.run_once()
            held.append(len(stage.session.running) + stage.session.lacking)
            stage.session.frames()
            stage.session.sent()
        return [*held, stage.session.lacking]

    with VirtualLoop(Random(1), 1_000_000) as loop:
        assert loop.run(main(loop)) == [60, 60, 60, 60, 0]


def test_what_a_session_lacked_and_has_got_meanwhile_takes_no_slots() -> None:
    """As where the answer to a claim comes after all."""

    async def main(loop: VirtualLoop) -> list[int]:
        stage = Stage(loop)
        await stage.hello()
        await stage.runs()
        await stage.runs(sent=False)
        stage.session.lacking = 2
        await asyncio.sleep(INTERVAL)
        await stage.upkeep.run_once()
        one = stage.session.lacking
        await asyncio.sleep(INTERVAL)
        await stage.upkeep.run_once()
        return [one, stage.session.lacking, stage.session.free]

    with VirtualLoop(Random(1), 1_000_000) as loop:
        assert loop.run(main(loop)) == [1, 0, 7]
