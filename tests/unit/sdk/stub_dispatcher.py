"""A dispatcher that does what the test says, over real gRPC in the test's own process."""

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import TracebackType
from typing import Any, Self

import grpc
import orjson
from google.protobuf.duration_pb2 import Duration

from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.worker_service_pb2_grpc import WorkerServiceServicer, add_WorkerServiceServicer_to_server

PATIENCE = 120.0
"""Seconds after which something that must happen has not."""

_numbers = count(1)


class Stream:
    """One stream from a worker, as the dispatcher sees it."""

    def __init__(self, hello: wire.Hello) -> None:
        self.hello = hello
        self.frames: list[wire.WorkerFrame] = []
        self._changed = threading.Condition()
        self._outgoing: queue.SimpleQueue[wire.DispatcherFrame | None] = queue.SimpleQueue()
        self.ended = False
        self.refusal: tuple[grpc.StatusCode, str] | None = None

    # What the dispatcher does

    def send(self, frame: wire.DispatcherFrame) -> None:
        self._outgoing.put(frame)

    def welcome(self, heartbeat: float = 3.0, timeout: float = 600.0) -> None:
        self.send(
            wire.DispatcherFrame(
                welcome=wire.Welcome(
                    dispatcher="stub",
                    generation=1,
                    heartbeat_interval=_duration(heartbeat),
                    session_timeout=_duration(timeout),
                )
            )
        )

    def assign(self, *assignments: wire.Assignment) -> None:
        self.send(wire.DispatcherFrame(assignments=assignments))

    def acknowledge(self, *results: wire.TaskResult, verdict: "wire.Verdict.ValueType" = wire.VERDICT_ACCEPTED) -> None:
        acks = [wire.ResultAck(task_id=r.task_id, attempt=r.attempt, verdict=verdict) for r in results]
        self.send(wire.DispatcherFrame(acks=acks))

    def stop(self, assignment: wire.Assignment, reason: "wire.StopReason.ValueType") -> None:
        stop = wire.Stop(task_id=assignment.task_id, attempt=assignment.attempt, reason=reason)
        self.send(wire.DispatcherFrame(stops=[stop]))

    def break_off(self) -> None:
        self.refuse(grpc.StatusCode.UNAVAILABLE, "broken by the test")

    def refuse(self, code: grpc.StatusCode, details: str) -> None:
        self.refusal = (code, details)
        self._outgoing.put(None)

    # What it saw

    def wait_for(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), [str(frame) for frame in self.frames[-5:]]

    def results(self) -> list[wire.TaskResult]:
        return [result for frame in list(self.frames) for result in frame.results]

    def released(self) -> list[tuple[str, int]]:
        return [(ref.task_id, ref.attempt) for frame in list(self.frames) for ref in frame.released]

    def heartbeats(self) -> int:
        return sum(frame.HasField("heartbeat") for frame in list(self.frames))

    def progress(self) -> list[wire.TaskProgress]:
        return [report for frame in list(self.frames) for report in frame.progress]

    def result_of(self, assignment: wire.Assignment) -> wire.TaskResult:
        """The result of an attempt, as soon as it has come."""

        def found() -> list[wire.TaskResult]:
            return [r for r in self.results() if (r.task_id, r.attempt) == (assignment.task_id, assignment.attempt)]

        self.wait_for(lambda: bool(found()))
        return found()[0]

    # Between the two

    def receive(self, frame: wire.WorkerFrame) -> None:
        with self._changed:
            self.frames.append(frame)
            self._changed.notify_all()

    def end(self) -> None:
        with self._changed:
            self.ended = True
            self._changed.notify_all()
        self._outgoing.put(None)

    def outgoing(self) -> Iterator[wire.DispatcherFrame]:
        while (frame := self._outgoing.get()) is not None:
            yield frame


class StubDispatcher(WorkerServiceServicer):
    """Accepts streams; the test takes each with `accept` and decides what it answers."""

    def __init__(self) -> None:
        self._streams: queue.SimpleQueue[Stream] = queue.SimpleQueue()
        self._server = grpc.server(ThreadPoolExecutor(8))
        add_WorkerServiceServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def kill(self) -> None:
        self._server.stop(0).wait()

    def accept(self, *, welcome: bool = True) -> Stream:
        """The next stream a worker opens."""
        stream = self._streams.get(timeout=PATIENCE)
        if welcome:
            stream.welcome()
        return stream

    def Session(  # noqa: N802 - named by the proto
        self, request_iterator: Iterator[wire.WorkerFrame], context: Any
    ) -> Iterator[wire.DispatcherFrame]:
        stream = Stream(next(request_iterator).hello)
        threading.Thread(target=_read, args=(request_iterator, stream), daemon=True).start()
        self._streams.put(stream)
        yield from stream.outgoing()
        if stream.refusal is not None:
            context.abort(*stream.refusal)


def _read(incoming: Iterator[wire.WorkerFrame], stream: Stream) -> None:
    try:
        for frame in incoming:
            stream.receive(frame)
    except grpc.RpcError:
        pass  # broken by either side: it ends here too
    except Exception as error:  # what gRPC's server raises for a stream that the worker cancelled
        if type(error) is not Exception:
            raise
    stream.end()


def assignment(type_: str, payload: object = None, **fields: Any) -> wire.Assignment:
    """A first attempt of a new task."""
    task_id = f"0190a1b2-0000-7000-8000-{next(_numbers):012d}"
    fields = {"attempt": 1, "queue": "default", **fields}
    if "timeout" in fields:
        fields["timeout"] = _duration(fields["timeout"])
    return wire.Assignment(task_id=task_id, type=type_, payload=orjson.dumps(payload), **fields)


def _duration(seconds: float) -> Duration:
    return Duration(seconds=int(seconds), nanos=int(seconds % 1 * 1e9))
