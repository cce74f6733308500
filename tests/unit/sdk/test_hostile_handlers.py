"""Whatever a handler does, its attempt ends and its neighbours go on."""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.task_pb2 import TaskError
from taskyard.worker import NonRetryable, Worker
from taskyard.worker.event_loop import run_through
from taskyard.worker.journal import logger
from taskyard.worker.outcome import describe
from tests.unit.sdk.stub_dispatcher import PATIENCE, Stream, StubDispatcher, assignment
from tests.unit.sdk.worker_stage import error_of, outcome, running, serving


def unformattable() -> SyntaxError:
    error = SyntaxError("bad")
    error.text = 5  # type: ignore[assignment]
    error.lineno = error.offset = 1
    error.filename = "f"
    return error


def homeless() -> Exception:
    """Of a class without what every class has: it was made in a namespace without a name."""
    namespace: dict[str, Any] = {"__builtins__": __builtins__}
    exec("Homeless = type('Homeless', (Exception,), {})", namespace)
    error: Exception = namespace["Homeless"]("lost")
    with pytest.raises(AttributeError):
        type(error).__module__  # noqa: B018 - that it has none is the point
    return error


class Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class Liar(Exception):
    @property
    def __class__(self) -> Any:
        raise KeyboardInterrupt

    @__class__.setter
    def __class__(self, value: object) -> None:
        raise KeyboardInterrupt


class OddText(str):
    def encode(self, *_: object, **__: object) -> bytes:
        raise SystemExit

    def __getitem__(self, _: object) -> str:
        raise SystemExit


class Odd(Exception):
    def __str__(self) -> str:
        return OddText("odd")


class Numbers(Exception):
    def __str__(self) -> str:
        return 5  # type: ignore[return-value]  # noqa: PLE0307 - the point


def cyclic() -> Exception:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    return first


def noted() -> Exception:
    error = ValueError("noted")
    error.__notes__ = 7  # type: ignore[assignment]
    return error


class OddlyNamed(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        return "Surro\ud800gate"


class Surrogate(Exception, metaclass=OddlyNamed):
    """Of a name that is no text."""


HOSTILE: dict[str, tuple[Callable[[], BaseException], str, str]] = {
    "text is a number": (unformattable, "SyntaxError", "bad (f, line 1)"),
    "class without module": (homeless, "Homeless", "lost"),
    "str exits": (Exits, "Exits", "<SystemExit in Exits.__str__>"),
    "class property raises": (lambda: Liar("lie"), "Liar", "lie"),
    "text of an odd class": (Odd, "Odd", "odd"),
    "str is a number": (Numbers, "Numbers", "<TypeError in Numbers.__str__>"),
    "causes in a circle": (cyclic, "ValueError", "first"),
    "notes are a number": (noted, "ValueError", "noted"),
    "name is no text": (lambda: Surrogate("s"), "Surro?gate", "s"),
    "message is no text": (lambda: ValueError("\ud800"), "ValueError", "?"),
    "escapes stay": (lambda: ValueError("\\u0000 and \0"), "ValueError", "\\u0000 and \0"),
    "exit": (lambda: SystemExit(2), "SystemExit", "2"),
    "interrupt": (KeyboardInterrupt, "KeyboardInterrupt", ""),
    "generator exit": (GeneratorExit, "GeneratorExit", ""),
    "group": (lambda: BaseExceptionGroup("g", [SystemExit(1), Exits()]), "BaseExceptionGroup", "g (2 sub-exceptions)"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_told_is_told_as_far_as_it_can(name: str) -> None:
    make, type_, message = HOSTILE[name]
    try:
        raise make()
    except BaseException as error:
        told = describe(error)
    assert (told.type, told.message, told.retryable) == (type_, message, True)
    assert "test_hostile_handlers.py" in told.stack


def test_a_large_message_costs_little_more_than_itself() -> None:
    error = ValueError("x" * (100 * 1024 * 1024))
    began = time.process_time()
    told = describe(error)
    assert len(told.message) == 4096
    assert len(told.stack) <= 16 * 1024
    assert time.process_time() - began < 1.0


TEXTS = st.text(st.characters(exclude_categories=()), max_size=40)


@given(TEXTS, st.text(max_size=300).filter(lambda name: "\0" not in name), st.lists(TEXTS), st.booleans())
def test_every_exception_can_be_told(message: str, name: str, notes: list[str], final: bool) -> None:
    kind = type(name, (NonRetryable if final else Exception,), {})
    error = kind(message)
    for note in notes:
        error.add_note(note)
    told = TaskError.FromString(describe(error).SerializeToString())
    assert told.retryable is not final
    assert told.type == (name.encode(errors="replace")[:256].decode(errors="ignore") or "Exception")


def test_hostile_exceptions_end_their_attempts_alone(dispatcher: StubDispatcher) -> None:
    worker = Worker()

    @worker.task("async")
    async def in_loop(payload: str) -> None:
        raise HOSTILE[payload][0]()

    @worker.task("sync")
    def in_thread(payload: str) -> None:
        raise HOSTILE[payload][0]()

    worker.task("honest")(lambda payload: payload)
    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        tasks = [(assignment(type_, name), name) for type_ in ("async", "sync") for name in HOSTILE]
        honest = assignment("honest", 1)
        stream.assign(*(task for task, _ in tasks), honest)
        for task, name in tasks:
            error = error_of(stream, task)
            assert (error.type, error.message) == HOSTILE[name][1:]
        assert outcome(stream, honest) == 1


class Raises(logging.Filter):
    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.error = error

    def filter(self, record: logging.LogRecord) -> bool:
        raise self.error("from a filter")


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_logging_that_raises_takes_nothing_with_it(
    dispatcher: StubDispatcher, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker()

    @worker.task("fail")
    async def fail(payload: object) -> None:
        raise LookupError("said")

    @worker.task("sync")
    def fail_too(payload: object) -> None:
        raise LookupError("said")

    worker.task("honest")(lambda payload: payload)
    broken = Raises(error)
    logging.getLogger("taskyard.worker").addFilter(broken)
    try:
        with caplog.at_level(logging.DEBUG, "taskyard.worker"), serving(worker, dispatcher):
            stream = dispatcher.accept()
            for type_ in ("fail", "sync"):
                task = assignment(type_)
                stream.assign(task)
                assert error_of(stream, task).type == "LookupError"
            # The session's own thread logs, too: it goes on, on another stream.
            stream.break_off()
            stream = dispatcher.accept()
            honest = assignment("honest", 1)
            stream.assign(honest)
            assert outcome(stream, honest) == 1
    finally:
        logging.getLogger("taskyard.worker").removeFilter(broken)


def test_log_records_name_where_they_were_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "taskyard.worker"):
        logger.info("here", extra={"task_id": "t"})
    (record,) = caplog.records
    assert (record.filename, record.__dict__["task_id"]) == ("test_hostile_handlers.py", "t")


class Explodes(SpanProcessor):
    def on_end(self, span: object) -> None:
        raise SystemExit("from a span processor")


def test_tracing_that_raises_does_not_touch_the_attempt(
    dispatcher: StubDispatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Explodes())
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    worker = Worker()

    @worker.task("async")
    async def echo(payload: object) -> object:
        return payload

    @worker.task("fail")
    def fail(payload: object) -> None:
        raise unformattable()

    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        sampled = f"00-{1:032x}-{2:016x}-01"
        echoed, failed = assignment("async", 1, traceparent=sampled), assignment("fail", traceparent=sampled)
        stream.assign(echoed, failed)
        assert outcome(stream, echoed) == 1
        assert error_of(stream, failed).type == "SyntaxError"


# What handlers leave on the event loop


async def exits(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


async def gathers(error: BaseException) -> None:
    await asyncio.gather(exits(error), asyncio.sleep(PATIENCE))


async def groups(error: BaseException) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(PATIENCE))
        group.create_task(exits(error))


def throw(error: BaseException) -> None:
    raise error


async def calls_soon(error: BaseException) -> None:
    asyncio.get_running_loop().call_soon(throw, error)
    await asyncio.sleep(PATIENCE)


async def calls_later(error: BaseException) -> None:
    asyncio.get_running_loop().call_later(0.01, throw, error)
    await asyncio.sleep(PATIENCE)


async def forgets(error: BaseException) -> None:
    task = asyncio.create_task(exits(error))
    await asyncio.sleep(PATIENCE)
    await task


async def is_told_by_the_loop(error: BaseException) -> None:
    def told(_: object, context: dict[str, Any]) -> None:
        # Not of a task that an earlier handler left: when it is collected, nobody is there to raise to.
        if isinstance(context["exception"], ValueError):
            throw(error)

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(told)
    try:
        loop.call_soon(throw, ValueError())
        await asyncio.sleep(PATIENCE)
    finally:
        loop.set_exception_handler(None)


LEAVING = [gathers, groups, calls_soon, calls_later, forgets, is_told_by_the_loop]


def leaving_worker() -> tuple[Worker, threading.Event]:
    worker = Worker()
    go_on = threading.Event()
    errors = {"exit": SystemExit, "interrupt": KeyboardInterrupt}
    for leave in LEAVING:

        def make(leave: Any) -> Any:
            async def handler(payload: str) -> None:
                await leave(errors[payload]("left"))

            return handler

        worker.task(leave.__name__)(make(leave))

    @worker.task("neighbour")
    async def neighbour(payload: object) -> str:
        await asyncio.to_thread(go_on.wait, PATIENCE)
        return "went on"

    @worker.task("sync.neighbour")
    def in_thread(payload: object) -> str:
        go_on.wait(PATIENCE)
        return "went on"

    @worker.task("stop")
    async def stop_the_loop(payload: object) -> str:
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.01)
        return "stopped"

    return worker, go_on


@pytest.mark.parametrize("payload", ["exit", "interrupt"])
def test_what_a_handler_leaves_on_the_loop_fails_its_attempt_alone(dispatcher: StubDispatcher, payload: str) -> None:
    worker, go_on = leaving_worker()
    with running(worker, dispatcher):
        stream = dispatcher.accept()
        neighbours = [assignment("neighbour"), assignment("sync.neighbour")]
        stream.assign(*neighbours)
        for leave in LEAVING:
            task = assignment(leave.__name__, payload)
            stream.assign(task)
            error = error_of(stream, task)
            assert (error.type, error.retryable) == (
                {"exit": "SystemExit", "interrupt": "KeyboardInterrupt"}[payload],
                True,
            ), leave
        stopping = assignment("stop")
        stream.assign(stopping)
        assert outcome(stream, stopping) == "stopped"
        go_on.set()
        assert [outcome(stream, neighbour) for neighbour in neighbours] == ["went on"] * 2
    assert not stream.released()


@pytest.mark.parametrize("leave", LEAVING, ids=lambda leave: leave.__name__)
def test_where_the_loop_must_end_only_the_culprit_fails(dispatcher: StubDispatcher, leave: Any) -> None:
    """In a program's own event loop nothing can hold SystemExit up."""
    worker, go_on = leaving_worker()
    worker._dispatchers = [dispatcher.address]
    ended: list[BaseException] = []

    def program() -> None:
        try:
            asyncio.run(worker.serve())
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=program)
    thread.start()
    stream = dispatcher.accept()
    neighbours = [assignment("neighbour"), assignment("sync.neighbour")]
    stream.assign(*neighbours)
    task = assignment(leave.__name__, "exit")
    stream.assign(task)
    assert error_of(stream, task).type == "SystemExit"
    stream.wait_for(lambda: len(stream.released()) == 2)
    go_on.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert set(stream.released()) == {(neighbour.task_id, 1) for neighbour in neighbours}
    assert [type(error) for error in ended] == [SystemExit]


def test_what_no_handler_raised_stops_the_worker_in_order(dispatcher: StubDispatcher) -> None:
    worker, go_on = leaving_worker()
    with running(worker, dispatcher):
        stream = dispatcher.accept()
        neighbour = assignment("neighbour")
        stream.assign(neighbour)
        marker = assignment("stop")
        stream.assign(marker)
        outcome(stream, marker)
        assert worker._service is not None
        worker._service._loop.call_soon_threadsafe(throw, SystemExit("whose?"))
        stream.wait_for(lambda: any(frame.drain for frame in stream.frames))
        go_on.set()
        assert outcome(stream, neighbour) == "went on"
        stream.wait_for(lambda: any(frame.goodbye for frame in stream.frames))


def test_tasks_that_resist_do_not_keep_the_worker() -> None:
    async def resists() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(PATIENCE)

    async def main() -> None:
        left.append(asyncio.create_task(resists()))
        await asyncio.sleep(0)

    left: list[asyncio.Task[None]] = []
    began = time.monotonic()
    run_through(main(), lambda *_: None)
    assert time.monotonic() - began < PATIENCE / 2


def test_full_threads_do_not_keep_the_worker_from_stopping(dispatcher: StubDispatcher) -> None:
    worker = Worker(grace=0.1)
    release = threading.Event()

    @worker.task("hog")
    async def hog(payload: object) -> None:
        await asyncio.gather(*(asyncio.to_thread(release.wait, PATIENCE) for _ in range(50)))

    with running(worker, dispatcher):
        stream = dispatcher.accept()
        task = assignment("hog")
        stream.assign(task)
        stream.assign(marker := assignment("unknown"))
        error_of(stream, marker)
        worker.stop()
        stream.wait_for(lambda: any(frame.goodbye for frame in stream.frames))
        assert stream.released() == [(task.task_id, 1)]
        release.set()


def test_a_task_factory_that_raises_fails_attempts_one_by_one(dispatcher: StubDispatcher) -> None:
    worker = Worker()

    def refuse(*_: object, **__: object) -> Any:
        raise RuntimeError("no tasks")

    @worker.task("spoil")
    async def spoil(payload: object) -> None:
        asyncio.get_running_loop().set_task_factory(refuse)

    @worker.task("async")
    async def never(payload: object) -> None: ...

    @worker.task("mend")
    def mend(payload: object) -> None:
        assert worker._service is not None
        worker._service._loop.set_task_factory(None)

    with running(worker, dispatcher):
        stream = dispatcher.accept()
        spoiling = assignment("spoil")
        stream.assign(spoiling)
        outcome(stream, spoiling)
        failing, mending = assignment("async"), assignment("mend")
        stream.assign(failing, mending)
        assert error_of(stream, failing).message == "no tasks"
        outcome(stream, mending)


# What handlers return


def odd_results() -> Iterator[tuple[object, str]]:
    deep: Any = 1
    for _ in range(65):
        deep = [deep]
    yield deep, "RESULT_TOO_DEEP"
    deeper: Any = 1
    for _ in range(10_000):
        deeper = [deeper]
    yield deeper, "RESULT_NOT_JSON"
    circle: list[Any] = []
    circle.append(circle)
    yield circle, "RESULT_NOT_JSON"
    yield "\ud800", "RESULT_NOT_JSON"
    yield {1: 2}, "RESULT_NOT_JSON"
    yield 10**400, "RESULT_NOT_JSON"
    yield [2**64, object()], "RESULT_NOT_JSON"
    yield exits(SystemExit()), "RESULT_NOT_JSON"


def test_results_that_cannot_be_sent_fail_for_good(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    results = list(odd_results())
    worker.task("odd")(lambda place: results[place][0])
    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        tasks = [assignment("odd", place) for place in range(len(results))]
        stream.assign(*tasks)
        errors = [error_of(stream, task) for task in tasks]
    assert [(error.type, error.retryable) for error in errors] == [(type_, False) for _, type_ in results]
    assert "64 levels" in errors[0].message
    assert "coroutine" in errors[-1].message


def test_sixty_four_levels_pass(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    deep: Any = "[" * 70
    for _ in range(64):
        deep = [deep]
    worker.task("deep")(lambda payload: deep)
    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        task = assignment("deep")
        stream.assign(task)
        assert outcome(stream, task) == deep


def digits(stream: Stream, task: wire.Assignment) -> bytes:
    result = stream.result_of(task)
    stream.acknowledge(result)
    return result.result


def test_integers_keep_their_digits_in_loop_and_thread(dispatcher: StubDispatcher) -> None:
    worker = Worker()

    @worker.task("async")
    async def echo(payload: dict[str, Any]) -> dict[str, Any]:
        assert payload["n"] == 18446744073709551617
        return payload

    worker.task("sync")(lambda payload: {"n": payload["n"]})
    document = b'{"n":18446744073709551617}'
    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        for type_ in ("async", "sync"):
            task = assignment(type_)
            task.payload = document
            stream.assign(task)
            assert digits(stream, task) == document


def test_a_forked_copy_of_a_handler_reports_nothing(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    children: list[int] = []

    @worker.task("fork")
    def fork(payload: object) -> str:
        child = os.fork()
        if child == 0:
            return "from the child"
        children.append(child)
        return "from the parent"

    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        task = assignment("fork")
        stream.assign(task)
        assert outcome(stream, task) == "from the parent"
        assert os.waitpid(children[0], 0)[1] == 0
        assert len(stream.results()) == 1
