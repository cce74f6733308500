"""Rows that hold what no API would have taken: each is its own matter, and nobody else's."""

import math
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
import pytest_asyncio
import uuid_utils

from taskyard_core.domain import limits
from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.session_names import public_name
from taskyard_core.domain.submission import build
from taskyard_core.domain.task import Task, TaskError, TaskState
from taskyard_core.domain.transitions import Failed, Runner
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.storage.claims import Bid, Head
from taskyard_core.storage.sessions import SessionRecord
from taskyard_core.storage.submissions import NewTask
from taskyard_core.storage.tasks import TaskFilter
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.wire import convert
from taskyard_dispatcher.gateway.adoption import reconcile
from taskyard_dispatcher.outcomes.handover import Handover
from taskyard_dispatcher.outcomes.loss import Loss
from taskyard_dispatcher.outcomes.resending import Resending
from taskyard_dispatcher.sessions.state import Running, Session
from taskyard_scheduler.api.rest import answers
from tests.conformance.outcomes import completion
from tests.conformance.task_stores import Yard

LANE = "default/default/demo.echo/5/"

# What no worker could be sent, and what the task's error says of it.
IMPOSSIBLE: dict[str, tuple[dict[str, Any], str]] = {
    "infinite timeout": ({"timeout": math.inf}, "timeout: longer than 2592000 seconds"),
    "timeout of minus infinity": ({"timeout": -math.inf}, "timeout: must not be negative"),
    "timeout that is no number": ({"timeout": math.nan}, "timeout: must not be negative"),
    "negative timeout": ({"timeout": -3600.0}, "timeout: must not be negative"),
    "no time at all": ({"timeout": 0.0}, "timeout: must be longer than zero"),
    "timeout of ages": ({"timeout": 1e300}, "timeout: longer than 2592000 seconds"),
    "huge payload": ({"payload": b'"' + b"x" * limits.PAYLOAD_BYTES + b'"'}, "payload: more than 262144 bytes"),
    "retry that is no JSON": ({"retry": "{"}, "retry: cannot be read"),
    "retry that is no object": ({"retry": "[3]"}, "retry: cannot be read"),
    "retry of other fields": ({"retry": '{"attempts": 3}'}, "retry: cannot be read"),
    "retry of words": ({"retry": '{"max_attempts": "3"}'}, "retry: cannot be read"),
    "retry beyond floats": ({"retry": '{"max_backoff": 1e999}'}, "retry: cannot be read"),
    "retry beyond integers": ({"retry": '{"max_attempts": 9007199254740993000000}'}, "retry: cannot be read"),
    "retry out of bounds": ({"retry": '{"initial_backoff": 1e300}'}, "retry: cannot be read"),
}

# What is odd, but need not keep a task from being run.
ODD: dict[str, dict[str, Any]] = {
    "trace context without end": {"traceparent": "x" * 100_000},
    "trace context that is none": {"traceparent": "\x1b[31m"},
    "ready since ever": {"run_at": -math.inf},
    "ready in a far future": {"run_at": 1e11},
    "failures without end": {"failures": 2**31 - 1, "crashes": 2**31 - 1},
    "negative counts": {"failures": -5, "crashes": -5, "attempt": -5},
    "payload that is no JSON": {"payload": b"\xff{"},
    "progress that is no JSON": {"progress": "nope"},
}


class Bench:
    """A session, three queued tasks, and the parts of a dispatcher that hand them over."""

    def __init__(self, yard: Yard) -> None:
        self.yard = yard
        self.store = yard.store
        self.completion = completion(yard.store)
        self.handover = Handover(self.completion)

    async def session(self) -> Session:
        record = SessionRecord(
            id=str(uuid.uuid4()), namespace="default", worker="w", dispatcher="d", types=["demo.echo"], slots=5
        )
        await self.store.sessions.adopt(record)
        capabilities = Capabilities("default", frozenset(["demo.echo"]))
        return Session(
            id=record.id,
            generation=1,
            runner=Runner(public_name(record.id), "w"),
            capabilities=capabilities,
            slots=5,
            draining=False,
        )

    async def tasks(self, **fields: Any) -> list[str]:
        new = [NewTask(str(uuid_utils.uuid7()), build(type="demo.echo", payload=b"1", **fields)) for _ in range(3)]
        await self.store.submissions.submit(new)
        return [task.id for task in new]

    async def claimed(self, session: Session, tasks: list[str], attempt: int = 0) -> list[Running]:
        bids = [Bid(task, attempt, session.id) for task in tasks]
        return [Running(task, 0.0) for task in await self.store.changes.claim(bids, {session.id: 1})]

    async def task(self, task_id: str) -> Task:
        found = await self.store.tasks.get(task_id)
        assert found is not None
        return found

    async def assert_alone(self, session: Session, poisoned: str, others: list[str], message: str) -> None:
        """The poisoned task has ended; its neighbours were sent, and nothing else is held."""
        await self.handover.close()
        ended = await self.task(poisoned)
        assert (ended.state, ended.error) == (TaskState.FAILED, TaskError("INVALID_TASK", message, retryable=False))
        assert [(a.outcome, a.error) for a in (await self.store.tasks.attempts(poisoned, 9))[0]] == [
            ("FAILED", ended.error)
        ]
        assert await sent(session) == sorted(others)
        assert sorted(session.running) == sorted(others)
        assert session.free == 5 - len(others)


async def sent(session: Session) -> list[str]:
    return sorted(one.task_id for frame in session.frames() for one in frame.assignments)


@pytest_asyncio.fixture(loop_scope="session")
async def bench(yard: Yard) -> Bench:
    return Bench(yard)


@pytest.mark.parametrize("case", IMPOSSIBLE)
async def test_a_task_that_cannot_be_sent_ends_alone_at_its_claim(bench: Bench, case: str) -> None:
    columns, message = IMPOSSIBLE[case]
    session, (one, poisoned, other) = await bench.session(), await bench.tasks()
    await bench.yard.poison(poisoned, **columns)
    bench.handover.give(session, await bench.claimed(session, [one, poisoned, other]))
    # Until its end is stored, its row says that the session runs it.
    assert session.free == 5 - 3
    await bench.assert_alone(session, poisoned, [one, other], message)


async def test_the_log_names_the_session_as_readers_know_it(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    session, (poisoned, *_) = await bench.session(), await bench.tasks()
    await bench.yard.poison(poisoned, timeout=math.inf)
    bench.handover.give(session, await bench.claimed(session, [poisoned]))
    await bench.handover.close()
    named = [
        vars(record)["session"] for record in caplog.records if record.name == "taskyard_dispatcher.outcomes.handover"
    ]
    assert named == [public_name(session.id)]


async def test_it_ends_alone_where_it_is_claimed_from_the_tables(bench: Bench) -> None:
    session, (one, poisoned, other) = await bench.session(), await bench.tasks()
    await bench.yard.poison(poisoned, timeout=math.inf)
    claimed = await bench.store.changes.claim_heads(
        {LANE: 5}, {session.id: 1}, lambda heads: [Bid(head.task_id, head.attempt, session.id) for head in heads]
    )
    bench.handover.give(session, [Running(task, 0.0) for task in claimed])
    await bench.assert_alone(session, poisoned, [one, other], "timeout: longer than 2592000 seconds")


@pytest.mark.parametrize("case", IMPOSSIBLE)
async def test_a_session_that_runs_such_a_task_is_welcomed(bench: Bench, case: str) -> None:
    columns, message = IMPOSSIBLE[case]
    former, tasks = await bench.session(), await bench.tasks()
    await bench.claimed(former, tasks)
    one, poisoned, other = tasks
    await bench.yard.poison(poisoned, **columns)
    record = SessionRecord(id=former.id, namespace="default", worker="w", dispatcher="d2", types=["demo.echo"], slots=5)
    generation, held = await bench.store.sessions.adopt(record)
    assert generation == 2
    session = Session(
        id=former.id,
        generation=2,
        runner=former.runner,
        capabilities=former.capabilities,
        slots=5,
        draining=False,
    )
    running = [Running(row.task, 0.0, row.cancel_requested) for row in held]
    reconcile(session, running, {(one, 1)}, bench.handover)
    await bench.handover.close()
    assert (await bench.task(poisoned)).error == TaskError("INVALID_TASK", message, retryable=False)
    assert (await sent(session), sorted(session.running)) == ([other], sorted([one, other]))


async def test_one_that_a_lost_answer_left_running_ends_alone(bench: Bench) -> None:
    session, (one, poisoned, other) = await bench.session(), await bench.tasks()
    await bench.claimed(session, [one, poisoned, other])
    await bench.yard.poison(poisoned, timeout=-1.0)
    await Resending(bench.store.sessions, bench.handover, SystemClock()).run_once(session)
    await bench.assert_alone(session, poisoned, [one, other], "timeout: must not be negative")


async def test_one_whose_cancel_was_asked_for_is_cancelled(bench: Bench) -> None:
    session, (poisoned, *_) = await bench.session(), await bench.tasks()
    (held,) = await bench.claimed(session, [poisoned])
    await bench.store.changes.request_cancel([poisoned])
    held.task = held.task._replace(timeout=math.inf)
    held.cancel_requested = True
    bench.handover.give(session, [held])
    await bench.handover.close()
    assert (await bench.task(poisoned)).state == "CANCELLED"


@pytest.mark.parametrize("case", ODD)
async def test_what_is_odd_is_run_all_the_same(bench: Bench, case: str) -> None:
    session, (one, poisoned, other) = await bench.session(), await bench.tasks()
    await bench.yard.poison(poisoned, **ODD[case])
    attempt = ODD[case].get("attempt", 0)
    claimed = await bench.claimed(session, [one, other]) + await bench.claimed(session, [poisoned], attempt)
    assert all(0 <= held.task.waited < 3600 for held in claimed)
    bench.handover.give(session, claimed)
    assert await sent(session) == sorted([one, poisoned, other])


@pytest.mark.parametrize("case", [*IMPOSSIBLE, *ODD])
async def test_the_loss_of_a_session_that_runs_such_a_task_requeues_its_neighbours(bench: Bench, case: str) -> None:
    session, tasks = await bench.session(), await bench.tasks()
    await bench.claimed(session, tasks)
    columns = {**(IMPOSSIBLE[case][0] if case in IMPOSSIBLE else ODD[case]), "attempt": 1}
    await bench.yard.poison(tasks[1], **columns)
    assert await Loss(bench.store, bench.completion._aftermath).lose(session.id, 1, "test")
    states = [(await bench.task(task)).state for task in tasks]
    assert states[0] == states[2] == "QUEUED"
    assert states[1] in ("QUEUED", "FAILED")


async def test_the_last_attempt_there_can_be_is_not_claimed_and_keeps_nobody_waiting(bench: Bench) -> None:
    session, (one, poisoned, other) = await bench.session(), await bench.tasks()
    last = 2**31 - 1
    await bench.yard.poison(poisoned, attempt=last)
    bids = [Bid(one, 0, session.id), Bid(poisoned, last, session.id), Bid(other, 0, session.id)]
    won = await bench.store.changes.claim(bids, {session.id: 1})
    assert sorted(task.task_id for task in won) == sorted([one, other])
    # It counts as dead, or it would be thought to be the session's fault.
    assert await bench.store.changes.still_queued([(poisoned, last)]) == set()

    def assign(heads: Sequence[Head]) -> list[Bid]:
        assert heads == []
        return []

    await bench.store.changes.claim_heads({LANE: 5}, {session.id: 1}, assign)


SHOWN: dict[str, dict[str, Any]] = {
    **{case: columns for case, (columns, _) in IMPOSSIBLE.items()},
    **ODD,
    "created before the calendar": {"created_at": -math.inf},
    "created after the calendar": {"created_at": 1e12},
    "ready after the calendar": {"run_at": math.inf},
    "expiring never": {"expires_at": math.inf},
    "expired before the calendar": {"expires_at": -1e11},
    "error that is no JSON": {"error": "oops"},
    "error that is a list": {"error": '["oops"]'},
    "error of other fields": {"error": '{"kind": "oops"}'},
    "error of numbers": {"error": '{"type": 7, "message": null, "stack": [], "retryable": "no"}'},
    "progress beyond floats": {"progress": '{"fraction": 1e400, "message": ""}'},
    "progress of words": {"progress": '{"fraction": "half", "message": 7}'},
    "progress that is a list": {"progress": "[]"},
    "huge result": {"result": b"x" * (limits.RESULT_BYTES + 1)},
    "result that is no JSON": {"result": b"\xff"},
}


@pytest.mark.parametrize("case", SHOWN)
async def test_such_a_task_is_shown_as_far_as_it_can_be(bench: Bench, case: str) -> None:
    tasks = await bench.tasks()
    await bench.yard.poison(tasks[1], **SHOWN[case])
    page, _ = await bench.store.tasks.page(TaskFilter(), 10, None)
    assert {task.id for task in page} <= set(tasks)
    assert len(page) >= 1
    found = await bench.store.tasks.get_many(tasks)
    assert sorted(found) == sorted(tasks)
    for task in found.values():
        message = convert.task(task)
        assert message.ByteSize() < 3 * 1024 * 1024
        assert type(message).FromString(message.SerializeToString()).id == task.id
        message.run_at.ToDatetime()
        assert answers.response({"tasks": [answers.task(task)]}).status_code == 200
    assert (await bench.store.tasks.decidable(tasks[1])) is not None


async def test_an_error_that_is_no_json_keeps_nobody_from_searching(bench: Bench) -> None:
    session, tasks = await bench.session(), await bench.tasks(retry=None)
    await bench.claimed(session, tasks)
    errors = [TaskError('odd "word" \\ é', "m", retryable=False), TaskError("other", retryable=False)]
    for held, error in zip(await bench.store.sessions.held(session.id), [*errors, errors[1]], strict=True):
        await bench.completion.end(session, Running(held.task, 0.0), Failed(error))
    await bench.yard.poison(tasks[2], error="nope")
    wanted = TaskFilter(state=TaskState.FAILED, error_type=errors[0].type)
    assert [task.id for task in (await bench.store.tasks.page(wanted, 10, None))[0]] == [tasks[0]]
    assert await bench.store.tasks.find_failed(wanted, 10) == [tasks[0]]
    async with bench.store.transaction() as transaction:
        assert [one.snapshot.id for one in await transaction.lock_failed(wanted, 10)] == [tasks[0]]
    everything = TaskFilter(state=TaskState.FAILED)
    async with bench.store.transaction() as transaction:
        assert len(await transaction.lock_failed(everything, 10)) == 3


async def test_text_of_an_error_is_kept_but_for_what_no_text_can_hold(bench: Bench) -> None:
    session, tasks = await bench.session(), await bench.tasks()
    (held, *_) = await bench.claimed(session, tasks)
    error = TaskError("Odd", "six characters \\u0000, one \0, a tab\t", "\\\\u0000 \\", retryable=False)
    await bench.completion.end(session, held, Failed(error))
    kept = (await bench.task(held.task.task_id)).error
    assert kept is not None
    assert (kept.message, kept.stack) == ("six characters \\u0000, one \ufffd, a tab\t", "\\\\u0000 \\")


async def test_a_session_whose_tasks_cannot_be_read_is_not_raised(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await bench.session()
    record = SessionRecord(id=session.id, namespace="default", worker="w", dispatcher="d2", types=["t"], slots=1)
    module = __import__(type(bench.store.sessions).__module__, fromlist=["held_within"])

    def unreadable(*_: object, **__: object) -> None:
        raise StoreUnavailable("postgres", "too much")

    with monkeypatch.context() as patched:
        patched.setattr(module, "held_within", unreadable)
        with pytest.raises(StoreUnavailable):
            await bench.store.sessions.adopt(record)
    assert [(live.generation, live.dispatcher) for live in await bench.store.sessions.live()] == [(1, "d")]
    assert (await bench.store.sessions.adopt(record))[0] == 2
