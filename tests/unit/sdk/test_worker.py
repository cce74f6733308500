"""A real worker against a stub dispatcher over real gRPC: handlers and their outcomes."""

import asyncio
import contextvars
import logging
import math
import os
import threading
import urllib.request
from typing import Any

import orjson
import pytest

from taskyard._gen import worker_service_pb2 as wire
from taskyard.worker import Context, NonRetryable, StopCause, Worker
from taskyard.worker.attempts import Attempts
from taskyard.worker.handler import Mode, make_handler
from taskyard.worker.loop_runner import LoopRunner
from taskyard.worker.settings import parse_labels, resolve
from tests.unit.sdk import process_handlers
from tests.unit.sdk.stub_dispatcher import PATIENCE, StubDispatcher, assignment
from tests.unit.sdk.worker_stage import error_of, outcome, serving


def test_hello_says_what_the_worker_is(dispatcher: StubDispatcher, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKYARD_WORKER_LABELS", "zone=a, io=hdd")
    monkeypatch.setenv("TASKYARD_POD_NAME", "pod-1")
    worker = Worker(labels={"io": "ssd"}, slots=7, queues=["mail"], name="w", version="1.2")
    worker.task("t")(lambda payload: payload)
    with serving(worker, dispatcher):
        hello = dispatcher.accept().hello
        assert worker.session_id == hello.session_id
    assert worker.session_id is None
    assert dict(hello.labels) == {"zone": "a", "io": "ssd"}
    assert (list(hello.types), list(hello.queues), hello.slots) == (["t"], ["mail"], 7)
    assert (hello.worker, hello.pod, hello.pid, hello.version) == ("w", "pod-1", os.getpid(), "1.2")
    assert hello.sdk.startswith("python/")


def test_handlers_of_all_shapes_return_results(dispatcher: StubDispatcher) -> None:
    worker = Worker()

    @worker.task("async.context")
    async def with_context(ctx: Context, payload: int) -> dict[str, object]:
        await asyncio.sleep(0)
        return {"token": ctx.token, "failures": ctx.failures, "doubled": payload * 2}

    @worker.task("sync")
    def plain(payload: list[int]) -> int:
        return sum(payload)

    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        first, second = assignment("async.context", 4, attempt=3, failures=2), assignment("sync", [1, 2])
        stream.assign(first, second)
        assert outcome(stream, first) == {"token": [first.task_id, 3], "failures": 2, "doubled": 8}
        assert outcome(stream, second) == 3
        assert stream.result_of(second).run_time.nanos > 0


def test_errors_say_whether_another_attempt_can_help(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    errors: dict[str, Exception] = {"a": RuntimeError("boom"), "b": NonRetryable("never"), "c": KeyError("k")}

    @worker.task("raise", non_retryable=(LookupError,))
    async def raising(payload: str) -> None:
        raise errors[payload]

    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        tasks = [assignment("raise", name) for name in errors]
        stream.assign(*tasks)
        seen = [error_of(stream, task) for task in tasks]
    assert [(e.type, e.retryable) for e in seen] == [
        ("RuntimeError", True),
        ("NonRetryable", False),
        ("KeyError", False),
    ]
    assert seen[0].message == "boom"
    assert "errors[payload]" in seen[0].stack


def test_a_payload_that_is_not_json_is_told_by_the_word_for_it(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    worker.task("t")(lambda payload: payload)
    task = assignment("t")
    task.payload = b"NaN"
    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        stream.assign(task)
        error = error_of(stream, task)
    assert (error.type, error.retryable) == ("INVALID_PAYLOAD", False)
    assert error.message.startswith("the payload is not JSON: ")


def test_results_that_cannot_be_kept_fail_for_good(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    values = {"object": object(), "nan": math.nan, "large": "x" * (1024 * 1024)}
    worker.task("value")(lambda name: values[name])
    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        tasks = [assignment("value", name) for name in values]
        stream.assign(*tasks)
        errors = [error_of(stream, task) for task in tasks]
    words = ["RESULT_NOT_JSON", "RESULT_NOT_JSON", "RESULT_TOO_LARGE"]
    assert [(e.type, e.retryable) for e in errors] == [(word, False) for word in words]


def test_attempts_do_not_share_context_variables(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    variable = contextvars.ContextVar("variable", default=0)

    @worker.task("async")
    async def bump(payload: object) -> int:
        variable.set(variable.get() + 1)
        return variable.get()

    @worker.task("sync")
    def bump_too(payload: object) -> int:
        variable.set(variable.get() + 1)
        return variable.get()

    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        for type_ in ("async", "async", "sync", "sync"):
            task = assignment(type_)
            stream.assign(task)
            assert outcome(stream, task) == 1


def test_cancelled_handlers_report_it(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    begun = threading.Barrier(2)

    @worker.task("async")
    async def forever(payload: object) -> None:
        await asyncio.Event().wait()

    @worker.task("sync")
    def poll(ctx: Context, payload: object) -> None:
        begun.wait(PATIENCE)
        while True:
            ctx.raise_if_cancelled()
            threading.Event().wait(0.005)

    @worker.task("stubborn")
    async def stubborn(payload: object) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "finished"
        return "never"

    @worker.task("loop")
    async def loop(payload: object) -> None:
        """Its result shows that the event loop has begun all that came before."""

    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        tasks = [assignment(type_) for type_ in ("async", "stubborn", "sync")]
        stream.assign(*tasks)
        begun.wait(PATIENCE)
        stream.assign(running := assignment("loop"))
        outcome(stream, running)
        for task in tasks:
            stream.stop(task, wire.STOP_REASON_CANCELLED)
        results = [stream.result_of(task) for task in tasks]
        stream.acknowledge(*results)
    assert [r.WhichOneof("outcome") for r in results] == ["cancelled", "result", "cancelled"]


class Home:
    """Where results go when there is no session."""

    def __init__(self) -> None:
        self.results: list[wire.TaskResult] = []
        self.came = asyncio.Event()

    def finish(self, result: wire.TaskResult) -> None:
        self.results.append(result)
        self.came.set()

    def release(self, key: tuple[str, int]) -> None:
        raise AssertionError(key)

    def report_progress(self, key: tuple[str, int], fraction: float, message: str) -> None:
        raise AssertionError(key)


async def test_an_attempt_cancelled_before_its_first_step_is_reported() -> None:
    async def never_begun(payload: object) -> None:
        raise AssertionError

    home = Home()
    handler = make_handler("t", never_begun, process=False, non_retryable=())
    attempts = Attempts(asyncio.get_running_loop(), {"t": handler}, home)
    attempts.runners[Mode.LOOP] = LoopRunner(asyncio.get_running_loop(), attempts)
    task = assignment("t")
    attempts.start([task])
    attempts.stop([((task.task_id, 1), wire.STOP_REASON_CANCELLED)])
    await asyncio.wait_for(home.came.wait(), PATIENCE)
    assert [result.cancelled for result in home.results] == [True]
    assert len(attempts) == 0


def test_of_a_lost_attempt_nothing_is_sent(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    causes: list[StopCause | None] = []
    begun, ended = threading.Event(), threading.Event()

    @worker.task("t")
    async def run(ctx: Context, payload: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            causes.append(ctx.stop_cause)
            ended.set()

    worker.task("last")(lambda payload: payload)
    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        lost, last = assignment("t"), assignment("last")
        stream.assign(lost)
        assert begun.wait(PATIENCE)
        stream.stop(lost, wire.STOP_REASON_LOST)
        assert ended.wait(PATIENCE)
        stream.assign(last)
        outcome(stream, last)
        assert [r.task_id for r in stream.results()] == [last.task_id]
    assert causes == [StopCause.LOST]


def test_attempts_that_take_too_long_time_out(dispatcher: StubDispatcher) -> None:
    worker = Worker(slots=1)
    release = threading.Event()

    @worker.task("async")
    async def forever(payload: object) -> None:
        await asyncio.Event().wait()

    @worker.task("sync")
    def stuck(payload: object) -> str:
        release.wait(PATIENCE)
        return "late"

    worker.task("next")(lambda payload: payload)
    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        for type_ in ("async", "sync"):
            task = assignment(type_, timeout=0.05)
            stream.assign(task)
            error = error_of(stream, task)
            assert (error.type, error.retryable) == ("TIMEOUT", True)
        following = assignment("next", 1)
        stream.assign(following)
        # The stuck thread does not count against the only slot.
        assert outcome(stream, following) == 1
        release.set()
    assert len(stream.results()) == 3


def test_progress_reaches_the_dispatcher(dispatcher: StubDispatcher) -> None:
    worker = Worker()

    @worker.task("t")
    async def run(ctx: Context, payload: object) -> None:
        for step in range(100):
            ctx.progress(step / 100, f"step {step}")
        await ctx.wait_cancelled()

    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        task = assignment("t")
        stream.assign(task)
        stream.wait_for(lambda: any(p.progress.message == "step 99" for p in stream.progress()))
        assert len(stream.progress()) <= 2
        stream.stop(task, wire.STOP_REASON_CANCELLED)
        stream.acknowledge(stream.result_of(task))


def test_results_travel_in_batches(dispatcher: StubDispatcher) -> None:
    worker = Worker(slots=1000)

    @worker.task("t")
    async def echo(payload: int) -> int:
        return payload

    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        tasks = [assignment("t", n) for n in range(1000)]
        stream.assign(*tasks)
        stream.wait_for(lambda: len(stream.results()) == len(tasks))
        stream.acknowledge(*stream.results())
        frames = [frame for frame in stream.frames if frame.results]
    assert {(r.task_id, orjson.loads(r.result)) for r in stream.results()} == {
        (t.task_id, n) for n, t in enumerate(tasks)
    }
    assert len(frames) < 200


@pytest.mark.parametrize(
    ("type_", "payload", "error"),
    [
        ("demo.sleep", {"seconds": -1}, "seconds: "),
        ("demo.sleep", {"seconds": True}, "seconds: "),
        ("demo.sleep", [], "payload: "),
        ("demo.word_count", {"path": 7}, "path: "),
        ("demo.fail", {"message": "told to", "retryable": False}, "told to"),
    ],
)
async def test_demo_handlers_name_the_bad_field(type_: str, payload: object, error: str) -> None:
    from taskyard.demo import worker

    handler = worker._handlers[type_]
    task = assignment(type_, payload)

    async def call() -> None:
        await handler.call(Context(task, lambda *_: None), payload)

    with pytest.raises(NonRetryable, match=error):
        await call()


def test_the_demo_counts_words(tmp_path: Any) -> None:
    from taskyard.demo import word_count

    path = tmp_path / "text"
    path.write_bytes(b"to be or not to be \xff\n")
    counted = word_count({"path": str(path)})
    assert (counted["words"], counted["distinct"]) == (7, 5)
    assert counted["counts"]["to"] == 2


def test_processes_run_crash_and_stop_alone(dispatcher: StubDispatcher) -> None:
    with serving(process_handlers.worker, dispatcher):
        stream = dispatcher.accept()
        square, die, again = assignment("process.square", 7), assignment("process.die"), assignment("process.square", 8)
        stream.assign(square, die, again)
        first = outcome(stream, square)
        assert (first["square"], first["pid"] != os.getpid()) == (49, True)
        crashed = error_of(stream, die)
        assert (crashed.type, crashed.retryable) == ("PROCESS_CRASHED", True)
        second = outcome(stream, again)
        assert second["square"] == 64
        assert second["pid"] != first["pid"]

        failing = assignment("process.fail")
        stream.assign(failing)
        error = error_of(stream, failing)
        assert (error.type, error.retryable) == ("KeyError", False)

        waiting = assignment("process.until_cancelled")
        stream.assign(waiting)
        stream.wait_for(lambda: any(p.progress.message == "waiting" for p in stream.progress()))
        stream.stop(waiting, wire.STOP_REASON_CANCELLED)
        assert stream.result_of(waiting).cancelled
        stream.acknowledge(stream.result_of(waiting))

        forever, after = assignment("process.forever", timeout=0.2), assignment("process.square", 2)
        stream.assign(forever, after)
        assert error_of(stream, forever).type == "TIMEOUT"
        assert outcome(stream, after)["square"] == 4


def test_a_stop_said_twice_interrupts_once(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    interruptions: list[StopCause | None] = []
    cleaning, clean = threading.Event(), threading.Event()

    @worker.task("t")
    async def run(ctx: Context, payload: object) -> None:
        ctx.progress(0.5)
        try:
            await asyncio.Event().wait()
        finally:
            interruptions.append(ctx.stop_cause)
            cleaning.set()
            await asyncio.to_thread(clean.wait, PATIENCE)

    worker.task("marker")(lambda payload: payload)
    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        task, marker = assignment("t"), assignment("marker")
        stream.assign(task)
        stream.wait_for(lambda: bool(stream.progress()))
        stream.stop(task, wire.STOP_REASON_CANCELLED)
        assert cleaning.wait(PATIENCE)
        stream.stop(task, wire.STOP_REASON_CANCELLED)
        stream.assign(marker)
        outcome(stream, marker)
        clean.set()
        assert stream.result_of(task).cancelled
        stream.acknowledge(stream.result_of(task))
    assert interruptions == [StopCause.CANCELLED]


def test_the_status_page_tells_of_session_and_attempts(dispatcher: StubDispatcher) -> None:
    worker = Worker(http_address="127.0.0.1:0", slots=3)
    worker.task("t")(lambda payload: payload)
    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        task = assignment("t")
        stream.assign(task)
        outcome(stream, task)
        assert worker.status_port is not None
        base = f"http://127.0.0.1:{worker.status_port}"
        for probe in ("livez", "readyz"):
            with urllib.request.urlopen(f"{base}/{probe}") as reply:
                assert reply.status == 200
        with urllib.request.urlopen(f"{base}/metrics") as reply:
            metrics = reply.read().decode()
    assert 'taskyard_worker_attempts_total{outcome="succeeded"} 1\n' in metrics
    for outcome_so_far in ("failed", "cancelled", "timed_out", "released"):
        assert f'taskyard_worker_attempts_total{{outcome="{outcome_so_far}"}} 0\n' in metrics
    assert "taskyard_worker_slots 3\n" in metrics


def test_registration_refuses_what_cannot_work() -> None:
    worker = Worker()
    worker.task("t")(lambda payload: payload)
    with pytest.raises(ValueError, match="has a handler already"):
        worker.task("t")(lambda payload: payload)
    with pytest.raises(TypeError, match="module level"):
        worker.task("p", process=True)(lambda payload: payload)
    with pytest.raises(TypeError, match="takes"):
        worker.task("none")(lambda: None)


def test_settings_come_from_arguments_then_environment() -> None:
    environment = {"TASKYARD_DISPATCHERS": "a:1, b:2", "TASKYARD_WORKER_SLOTS": "5", "TASKYARD_WORKER_NAME": "n"}
    settings = resolve(environment=environment)
    assert (settings.dispatchers, settings.slots, settings.name) == (("a:1", "b:2"), 5, "n")
    assert resolve(environment=environment, slots=9).slots == 9
    with pytest.raises(ValueError, match="TASKYARD_WORKER_SLOTS"):
        resolve(environment={"TASKYARD_WORKER_SLOTS": "many"})
    assert resolve(environment={}).grace == 25.0
    assert resolve(environment={"TASKYARD_WORKER_GRACE": "90"}).grace == 90.0
    assert resolve(environment={"TASKYARD_WORKER_GRACE": "90"}, grace=0.5).grace == 0.5
    with pytest.raises(ValueError, match="TASKYARD_WORKER_GRACE"):
        resolve(environment={"TASKYARD_WORKER_GRACE": "long"})
    for grace in ("-1", "nan", "inf"):
        with pytest.raises(ValueError, match="grace must be"):
            resolve(environment={"TASKYARD_WORKER_GRACE": grace})
    with pytest.raises(ValueError, match="key=value"):
        parse_labels("ssd")


def test_a_stale_result_is_logged(dispatcher: StubDispatcher, caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker()
    worker.task("t")(lambda payload: payload)
    with caplog.at_level(logging.WARNING, "taskyard.worker"), serving(worker, dispatcher):
        stream = dispatcher.accept()
        task, last = assignment("t"), assignment("t")
        stream.assign(task)
        stream.acknowledge(stream.result_of(task), verdict=wire.VERDICT_STALE)
        stream.assign(last)
        outcome(stream, last)
    assert any(task.task_id in record.getMessage() for record in caplog.records)
