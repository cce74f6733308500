"""What a worker takes for a handler and for its settings, and how it refuses the rest."""

import asyncio
import functools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import pytest

from taskyard.worker import Context, Worker
from taskyard.worker.settings import resolve
from tests.unit.sdk.stub_dispatcher import StubDispatcher, assignment
from tests.unit.sdk.worker_stage import outcome, serving

if TYPE_CHECKING:
    from nowhere import Unresolved  # type: ignore[import-not-found]

P = ParamSpec("P")


async def add(base: int, payload: int) -> int:
    return base + payload


class Callee:
    def __init__(self, base: int) -> None:
        self.base = base

    def __call__(self, payload: int) -> int:
        return self.base + payload

    def method(self, context: Context, payload: int) -> int:
        return self.base * context.attempt + payload

    @staticmethod
    def static(payload: int) -> int:
        return 1 + payload


class AsyncCallee:
    async def __call__(self, context: Context, payload: int) -> int:
        return context.attempt + payload


def logged(function: Callable[P, Any]) -> Callable[P, Any]:
    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:
        return function(*args, **kwargs)

    return wrapper


@logged
def decorated(context: Context, payload: int) -> int:
    return context.attempt + payload


def unresolved(context: "Unresolved", payload: "int") -> int:
    return int(context.attempt) + int(payload)


def annotated(context: Annotated[Context, "x"], payload: int = 0) -> int:
    return context.attempt + payload


def optional(context: "Context | None", payload: int = 0) -> int:
    assert context is not None
    return context.attempt + payload


def broken_hint(payload: "1 +") -> int:  # type: ignore[valid-type]  # noqa: F722
    return 1 + int(payload)


def number_hint(payload: 5) -> int:  # type: ignore[valid-type]
    return 1 + int(payload)


def defaulted(payload: int = 7, more: int = 1) -> int:
    return payload + more


SHAPES: dict[str, Callable[..., Any]] = {
    "partial": functools.partial(add, 1),
    "partial of a partial": functools.partial(functools.partial(add), 1),
    "object": Callee(1),
    "partial object": functools.partial(Callee(1)),
    "method": Callee(1).method,
    "static": Callee.__dict__["static"],
    "async object": AsyncCallee(),
    "decorated": decorated,
    "unresolved": unresolved,
    "annotated": annotated,
    "optional": optional,
    "broken hint": broken_hint,
    "number hint": number_hint,
    "defaulted": defaulted,
    "builtin": (1).__add__,
}


def test_whatever_can_be_called_is_a_handler(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    for name, function in SHAPES.items():
        worker.task(name.replace(" ", "."))(function)
    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        tasks = [assignment(name.replace(" ", "."), 41) for name in SHAPES]
        stream.assign(*tasks)
        assert {name: outcome(stream, task) for name, task in zip(SHAPES, tasks, strict=True)} == dict.fromkeys(
            SHAPES, 42
        )


def generator(payload: int) -> Iterator[int]:
    yield payload


async def async_generator(payload: int) -> Any:
    yield payload


def needs_keyword(payload: int, *, database: object) -> None: ...


def too_many(a: int, b: int, c: int) -> None: ...


def anything(*args: int) -> None: ...


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (generator, "yields"),
        (async_generator, "yields"),
        (needs_keyword, "needs 'database'"),
        (too_many, "takes"),
        (anything, "takes"),
        (lambda: None, "takes"),
        (max, "wrap it in a function"),
        (Callee.method, "method without its object"),
        (5, "is a function, got 5"),
        (functools.partial(add, base=1), "needs 'payload'"),
    ],
)
def test_what_cannot_be_called_is_refused_at_once(function: Any, complaint: str) -> None:
    with pytest.raises(TypeError, match=rf"^the\.type: .*{complaint}"):
        Worker().task("the.type")(function)


@pytest.mark.parametrize("task_type", ["", "a b", "ü", "x" * 129, ".a", "a\n"])
def test_a_type_that_the_server_would_refuse_is_refused_at_once(task_type: str) -> None:
    with pytest.raises(ValueError, match="a task type has"):
        Worker().task(task_type)


def test_registration_without_a_type_says_how() -> None:
    with pytest.raises(TypeError, match=r'@worker.task\("its.type"\)'):
        Worker().task(lambda payload: payload)  # type: ignore[arg-type]


@pytest.mark.parametrize("kinds", [5, "ValueError", (ValueError, 5), [int]])
def test_what_is_not_to_be_retried_must_be_exceptions(kinds: Any) -> None:
    with pytest.raises(TypeError, match=r"^t: non_retryable has classes of exceptions"):
        Worker().task("t", non_retryable=kinds)(lambda payload: payload)


def test_a_single_class_is_enough_for_non_retryable() -> None:
    worker = Worker()
    worker.task("t", non_retryable=ValueError)(lambda payload: payload)
    assert worker._handlers["t"].non_retryable == (ValueError,)


def square(payload: int) -> int:
    return payload * payload


hidden = square


def square(payload: int) -> int:  # type: ignore[no-redef]
    return payload


async def test_a_process_handler_that_cannot_be_sent_is_refused_before_it_starts() -> None:
    worker = Worker()
    worker.task("t", process=True)(hidden)
    with pytest.raises(ValueError, match=r"^t: process=True can't send the handler"):
        await worker.serve()
    with pytest.raises(TypeError, match="module level"):
        Worker().task("t", process=True)(lambda payload: payload)
    with pytest.raises(TypeError, match="sync functions"):
        Worker().task("t", process=True)(AsyncCallee())


# Settings


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"slots": 0}, "slots must be 1 to"),
        ({"slots": True}, "slots must be 1 to"),
        ({"slots": 1.5}, "slots must be 1 to"),
        ({"slots": "5"}, "slots must be 1 to"),
        ({"processes": -2}, "processes must be 1 to"),
        ({"processes": 0}, "processes must be 1 to"),
        ({"processes": 1.5}, "processes must be 1 to"),
        ({"grace": "5"}, "grace must be a number of seconds"),
        ({"grace": float("nan")}, "grace must be a number of seconds"),
        ({"name": 5}, "name must be text"),
        ({"name": "a\x1b"}, "name must be printable"),
        ({"version": 1.2}, "version must be text"),
        ({"namespace": 5}, "namespace must be text"),
        ({"queues": 5}, "queues must be a list"),
        ({"queues": [1]}, "queues: a name must be text"),
        ({"labels": ["a"]}, "labels must be a mapping"),
        ({"labels": {"a": None}}, "labels: a's value must be text or a whole number"),
        ({"labels": {"a": True}}, "labels: a's value must be text or a whole number"),
        ({"labels": {5: "a"}}, "labels: a key must be text"),
        ({"labels": {"a": "x\0"}}, "labels: a's value must be printable"),
        ({"labels": {"": "x"}}, "labels: a key has 1 to"),
        ({"dispatchers": "http://host:7071"}, "dispatchers: 'http://host:7071' is not host:port"),
        ({"dispatchers": "host:port"}, "dispatchers: 'host:port' is not host:port"),
        ({"dispatchers": "host:70710"}, "dispatchers: 'host:70710' is not host:port"),
        ({"dispatchers": "a b:7071"}, "dispatchers: 'a b:7071' is not host:port"),
        ({"dispatchers": "::1"}, "dispatchers: '::1' is not host:port"),
        ({"dispatchers": ""}, "dispatchers: is empty"),
        ({"dispatchers": 7071}, "dispatchers: must be text"),
        ({"http_address": "8080"}, "http_address must be host:port"),
        ({"http_address": "localhost:99999"}, "http_address must be host:port"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        resolve(environment={}, **given)


def test_settings_are_taken_as_they_are_meant() -> None:
    settings = resolve(
        environment={}, labels={"n": 16, "s": "x"}, queues="mail, reports", dispatchers="a,[::1],b:1", processes=2
    )
    assert settings.labels == {"n": "16", "s": "x"}
    assert settings.queues == ("mail", "reports")
    assert settings.dispatchers == ("a:7071", "[::1]:7071", "b:1")
    assert resolve(environment={}, queues=["mail"]).queues == ("mail",)
    assert resolve(environment={}).processes >= 1


async def test_an_address_in_use_is_named(dispatcher: StubDispatcher) -> None:
    worker = Worker(dispatcher.address, http_address=dispatcher.address)
    worker.task("t")(square)
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with taken:
        worker._http_address = f"127.0.0.1:{taken.sockets[0].getsockname()[1]}"
        with pytest.raises(ValueError, match="http_address: can't listen at"):
            await worker.serve()
