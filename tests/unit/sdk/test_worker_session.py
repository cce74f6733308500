"""A worker's session against a stub dispatcher: streams that break, dispatchers that go, loops that block."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from taskyard._gen import worker_service_pb2 as wire
from taskyard.worker import Context, HelloRefused, Worker
from tests.unit.sdk.stub_dispatcher import PATIENCE, Stream, StubDispatcher, assignment
from tests.unit.sdk.worker_stage import outcome, serving


def test_an_assignment_sent_twice_runs_once(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    runs: list[str] = []

    @worker.task("t")
    async def run(ctx: Context, payload: object) -> None:
        runs.append(ctx.task_id)

    with serving(worker, dispatcher):
        stream = dispatcher.accept()
        task, last = assignment("t"), assignment("t")
        stream.assign(task, task)
        stream.result_of(task)
        stream.assign(task, last)
        outcome(stream, last)
        stream.acknowledge(stream.result_of(task))
    assert runs == [task.task_id, last.task_id]


def test_a_broken_stream_costs_nothing(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    release = threading.Event()

    @worker.task("wait")
    def wait(payload: object) -> str:
        release.wait(PATIENCE)
        return "done"

    worker.task("quick")(lambda payload: payload)
    with serving(worker, dispatcher):
        first = dispatcher.accept()
        waiting, finished = assignment("wait"), assignment("quick", 1)
        first.assign(waiting, finished)
        outcome(first, finished, ack=False)
        first.break_off()
        second = dispatcher.accept()
        assert second.hello.session_id == first.hello.session_id
        assert {ref.task_id for ref in second.hello.running} == {waiting.task_id, finished.task_id}
        assert outcome(second, finished) == 1
        release.set()
        assert outcome(second, waiting) == "done"


def test_a_killed_dispatcher_is_replaced_well_within_a_second() -> None:
    worker = Worker()
    worker.task("t")(lambda payload: payload)
    with StubDispatcher() as one, StubDispatcher() as two, serving(worker, one, two):
        # Which of the two comes first is drawn at random.
        accepted: list[tuple[StubDispatcher, Stream]] = []
        came = threading.Condition()

        def listen(stub: StubDispatcher) -> None:
            stream = stub.accept()
            with came:
                accepted.append((stub, stream))
                came.notify_all()

        listeners = [threading.Thread(target=listen, args=(stub,)) for stub in (one, two)]
        for listener in listeners:
            listener.start()
        with came:
            assert came.wait_for(lambda: len(accepted) == 1, PATIENCE)
        killed = time.monotonic()
        accepted[0][0].kill()
        with came:
            assert came.wait_for(lambda: len(accepted) == 2, PATIENCE)
        assert time.monotonic() - killed < 1.0
        task = assignment("t", 5)
        accepted[1][1].assign(task)
        assert outcome(accepted[1][1], task) == 5


def test_a_welcomed_stream_that_breaks_young_is_followed_by_another_at_once(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    worker.task("t")(lambda payload: payload)
    with serving(worker, dispatcher):
        for _ in range(5):
            # From here on the next wait would be 0.8 s or more.
            dispatcher.accept(welcome=False).break_off()
        dispatcher.accept().break_off()
        broken = time.monotonic()
        dispatcher.accept()
        assert time.monotonic() - broken < 0.5


def test_go_away_moves_the_session_with_all_it_holds(dispatcher: StubDispatcher) -> None:
    worker = Worker()

    @worker.task("sleep")
    async def sleep(ctx: Context, payload: object) -> str:
        await ctx.wait_cancelled()
        return "stopped"

    with serving(worker, dispatcher):
        first = dispatcher.accept()
        task = assignment("sleep")
        first.assign(task)
        first.send(wire.DispatcherFrame(go_away=True))
        second = dispatcher.accept()
        assert [ref.task_id for ref in second.hello.running] == [task.task_id]
        second.stop(task, wire.STOP_REASON_CANCELLED)
        second.acknowledge(second.result_of(task))


def test_a_blocked_event_loop_keeps_the_session(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    release = threading.Event()

    @worker.task("block")
    async def block(payload: object) -> None:
        release.wait(PATIENCE)

    worker.task("sync")(lambda payload: payload)
    with serving(worker, dispatcher):
        stream = dispatcher.accept(welcome=False)
        stream.welcome(heartbeat=0.05, timeout=PATIENCE)
        task = assignment("block")
        stream.assign(task)
        stream.wait_for(lambda: stream.heartbeats() >= 5)
        assert stream.results() == []
        release.set()
        outcome(stream, task)


def test_a_silent_dispatcher_is_left(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    worker.task("t")(lambda payload: payload)
    with serving(worker, dispatcher):
        first = dispatcher.accept(welcome=False)
        first.welcome(heartbeat=0.1, timeout=0.3)
        second = dispatcher.accept()
        assert second.hello.session_id == first.hello.session_id


def test_a_hello_refused_for_good_ends_the_worker(dispatcher: StubDispatcher) -> None:
    worker = Worker(dispatcher.address)
    worker.task("t")(lambda payload: payload)
    refuser = threading.Thread(
        target=lambda: dispatcher.accept(welcome=False).refuse(
            grpc.StatusCode.INVALID_ARGUMENT, "hello.slots: too many"
        )
    )
    refuser.start()
    with pytest.raises(HelloRefused, match=r"INVALID_ARGUMENT: hello\.slots"):
        worker.run()
    refuser.join()


@pytest.fixture
def wrong_port() -> Iterator[str]:
    """The address of a gRPC server that is no dispatcher."""
    server = grpc.server(ThreadPoolExecutor(2))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def test_an_address_without_a_dispatcher_ends_no_worker_that_has_others(
    dispatcher: StubDispatcher, wrong_port: str
) -> None:
    worker = Worker()
    worker.task("t")(lambda payload: payload)
    with serving(worker, wrong_port, dispatcher.address):
        # Between two visits here it is there.
        dispatcher.accept(welcome=False).break_off()
        dispatcher.accept(welcome=False).break_off()
        stream = dispatcher.accept()
        task = assignment("t", 1)
        stream.assign(task)
        assert outcome(stream, task) == 1


def test_a_worker_ends_when_no_address_has_a_dispatcher(wrong_port: str) -> None:
    worker = Worker([wrong_port, wrong_port.replace("127.0.0.1", "localhost")])
    worker.task("t")(lambda payload: payload)
    with pytest.raises(HelloRefused, match="UNIMPLEMENTED: "):
        worker.run()


def test_an_unavailable_dispatcher_is_tried_again(dispatcher: StubDispatcher) -> None:
    worker = Worker()
    worker.task("t")(lambda payload: payload)
    with serving(worker, dispatcher):
        for _ in range(3):
            dispatcher.accept(welcome=False).break_off()
        stream = dispatcher.accept()
        task = assignment("t", 1)
        stream.assign(task)
        assert outcome(stream, task) == 1
