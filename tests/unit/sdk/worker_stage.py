"""Serving a worker from a test, and reading what it reports."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from taskyard._gen import worker_service_pb2 as wire
from taskyard.worker import Worker
from tests.unit.sdk.stub_dispatcher import PATIENCE, Stream, StubDispatcher


@contextmanager
def serving(worker: Worker, *dispatchers: StubDispatcher | str) -> Iterator[None]:
    """The worker on the event loop of a program's thread; stopped gracefully at the end."""
    with _at_work(worker, lambda: asyncio.run(worker.serve()), dispatchers):
        yield


@contextmanager
def running(worker: Worker, *dispatchers: StubDispatcher | str) -> Iterator[None]:
    """The worker as `Worker.run` runs it, on an event loop of its own; stopped gracefully at the end."""
    with _at_work(worker, worker.run, dispatchers):
        yield


@contextmanager
def _at_work(worker: Worker, work: Callable[[], None], dispatchers: Sequence[StubDispatcher | str]) -> Iterator[None]:
    worker._dispatchers = [place if isinstance(place, str) else place.address for place in dispatchers]
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        worker.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()


def outcome(stream: Stream, task: wire.Assignment, *, ack: bool = True) -> Any:
    """A successful attempt's value."""
    result = stream.result_of(task)
    assert result.WhichOneof("outcome") == "result", result
    if ack:
        stream.acknowledge(result)
    return orjson.loads(result.result)


def error_of(stream: Stream, task: wire.Assignment) -> Any:
    result = stream.result_of(task)
    assert result.WhichOneof("outcome") == "error", result
    stream.acknowledge(result)
    return result.error
