"""The session's rules, without any I/O."""

import random

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from taskyard._gen import worker_service_pb2 as wire
from taskyard.worker.rotation import BACKOFF_MAX, Rotation
from taskyard.worker.session_state import (
    MAX_FRAME_BYTES,
    MAX_RESULTS_PER_FRAME,
    PROGRESS_INTERVAL,
    REMEMBERED,
    WELCOME_TIMEOUT,
    Key,
    ProtocolError,
    SessionState,
)

WELCOME = wire.DispatcherFrame(
    welcome=wire.Welcome(
        dispatcher="d1", generation=1, heartbeat_interval=Duration(seconds=3), session_timeout=Duration(seconds=10)
    )
)


def make_state() -> SessionState:
    return SessionState(wire.Hello(session_id="s", types=["t"], slots=10))


def welcomed(now: float = 0.0) -> SessionState:
    state = make_state()
    state.hello(now)
    state.receive(WELCOME, now)
    return state


def assign(*keys: Key, resent: bool = False) -> wire.DispatcherFrame:
    return wire.DispatcherFrame(
        assignments=[wire.Assignment(task_id=task, attempt=n, type="t", resent=resent) for task, n in keys]
    )


def stop(key: Key, reason: "wire.StopReason.ValueType") -> wire.DispatcherFrame:
    return wire.DispatcherFrame(stops=[wire.Stop(task_id=key[0], attempt=key[1], reason=reason)])


def ack(key: Key, verdict: "wire.Verdict.ValueType" = wire.VERDICT_ACCEPTED) -> wire.DispatcherFrame:
    return wire.DispatcherFrame(acks=[wire.ResultAck(task_id=key[0], attempt=key[1], verdict=verdict)])


def result(key: Key, body: bytes = b"null") -> wire.TaskResult:
    return wire.TaskResult(task_id=key[0], attempt=key[1], result=body)


def keys(refs: object) -> set[Key]:
    return {(ref.task_id, ref.attempt) for ref in refs}  # type: ignore[attr-defined]


A = ("a", 1)


def test_nothing_but_the_hello_is_sent_before_the_welcome() -> None:
    state = make_state()
    assert state.hello(0.0).hello.session_id == "s"
    assert state.next_frame(100.0) is None


def test_a_first_frame_without_welcome_is_an_error() -> None:
    state = make_state()
    state.hello(0.0)
    with pytest.raises(ProtocolError):
        state.receive(assign(A), 0.0)


def test_an_assignment_that_is_held_is_not_started_again() -> None:
    state = welcomed()
    assert len(state.receive(assign(A, A), 0.0).starts) == 1
    assert state.receive(assign(A, resent=True), 0.0).starts == []
    state.finish(result(A))
    assert state.receive(assign(A, resent=True), 0.0).starts == []


def test_a_result_is_sent_once_per_stream_until_its_ack() -> None:
    state = welcomed()
    state.receive(assign(A), 0.0)
    state.finish(result(A))
    frame = state.next_frame(0.0)
    assert frame is not None
    assert keys(frame.results) == {A}
    assert state.next_frame(0.0) is None
    state.disconnected()
    assert keys(state.hello(1.0).hello.running) == {A}
    state.receive(WELCOME, 1.0)
    frame = state.next_frame(1.0)
    assert frame is not None
    assert keys(frame.results) == {A}
    state.receive(ack(A), 1.0)
    assert state.settled


def test_a_resend_that_crossed_the_ack_does_not_run_the_attempt_again() -> None:
    state = welcomed()
    state.receive(assign(A), 0.0)
    state.finish(result(A))
    state.receive(ack(A), 0.0)
    assert state.receive(assign(A, resent=True), 0.0).starts == []
    assert state.settled


def test_settled_attempts_are_forgotten_in_the_end() -> None:
    state = welcomed()
    for number in range(3 * REMEMBERED):
        key = (f"task-{number}", 1)
        state.receive(assign(key), 0.0)
        state.finish(result(key))
        state.receive(ack(key), 0.0)
    assert len(state.receive(assign(("task-0", 1)), 0.0).starts) == 1


@pytest.mark.parametrize("verdict", [wire.VERDICT_DUPLICATE, wire.VERDICT_STALE, wire.VERDICT_INVALID])
def test_any_verdict_ends_a_result(verdict: "wire.Verdict.ValueType") -> None:
    state = welcomed()
    state.receive(assign(A), 0.0)
    state.finish(result(A))
    state.receive(ack(A, verdict), 0.0)
    assert state.settled
    assert state.next_frame(0.0) is None


def test_a_lost_attempt_is_stopped_and_its_result_never_sent() -> None:
    state = welcomed()
    state.receive(assign(A), 0.0)
    assert state.receive(stop(A, wire.STOP_REASON_LOST), 0.0).stops == [(A, wire.STOP_REASON_LOST)]
    assert not state.finish(result(A))
    assert state.next_frame(0.0) is None


def test_a_finished_attempt_that_is_called_lost_still_gets_its_verdict() -> None:
    state = welcomed()
    state.receive(assign(A), 0.0)
    state.finish(result(A))
    assert state.receive(stop(A, wire.STOP_REASON_LOST), 0.0).stops == []
    frame = state.next_frame(0.0)
    assert frame is not None
    assert keys(frame.results) == {A}


def test_frames_stay_within_their_limits() -> None:
    state = welcomed()
    many = [(f"task-{n}", 1) for n in range(2 * MAX_RESULTS_PER_FRAME)]
    state.receive(assign(*many), 0.0)
    for index, key in enumerate(many):
        state.finish(result(key, b"x" * (900_000 if index < 3 else 10)))
    sent: list[Key] = []
    while (frame := state.next_frame(0.0)) is not None:
        assert frame.ByteSize() <= MAX_FRAME_BYTES
        assert len(frame.results) <= MAX_RESULTS_PER_FRAME
        sent += [(r.task_id, r.attempt) for r in frame.results]
    assert sent == many


def test_heartbeats_come_by_the_welcomes_clock_also_while_idle() -> None:
    state = welcomed(now=0.0)
    assert state.next_due() == 3.0
    assert state.next_frame(2.9) is None
    first, second = state.next_frame(3.0), state.next_frame(6.1)
    assert first is not None
    assert second is not None
    assert (first.heartbeat.sequence, second.heartbeat.sequence) == (1, 2)


def test_heartbeats_tell_which_echo_was_heard_last_on_this_stream() -> None:
    state = welcomed(now=0.0)
    state.next_frame(3.0)
    state.receive(wire.DispatcherFrame(heartbeat=wire.Heartbeat(sequence=1)), 3.1)
    second, third = state.next_frame(6.0), state.next_frame(9.0)
    assert second is not None
    assert third is not None
    assert (second.heartbeat.heard, third.heartbeat.heard) == (1, 1)
    state.hello(10.0)
    state.receive(WELCOME, 10.0)
    fourth = state.next_frame(13.0)
    assert fourth is not None
    assert (fourth.heartbeat.sequence, fourth.heartbeat.heard) == (4, 3)


def test_a_silent_dispatcher_is_noticed_before_and_after_the_welcome() -> None:
    state = make_state()
    assert not state.is_silent(1e9)
    state.hello(0.0)
    assert state.is_silent(WELCOME_TIMEOUT)
    state.receive(WELCOME, 1.0)
    assert not state.is_silent(10.9)
    assert state.is_silent(11.0)


def test_progress_is_coalesced_and_rate_limited() -> None:
    state = welcomed()
    state.receive(assign(A), 0.0)
    state.report_progress(A, 0.1, "")
    frame = state.next_frame(0.0)
    assert frame is not None
    state.report_progress(A, 0.2, "")
    state.report_progress(A, 0.3, "last")
    assert state.next_frame(PROGRESS_INTERVAL / 2) is None
    assert state.next_due() == PROGRESS_INTERVAL
    frame = state.next_frame(PROGRESS_INTERVAL)
    assert frame is not None
    assert [(p.progress.fraction, p.progress.message) for p in frame.progress] == [(0.3, "last")]


def test_assignments_that_cross_a_drain_are_handed_back() -> None:
    state = welcomed()
    state.drain()
    assert state.receive(assign(A), 0.0).starts == []
    frame = state.next_frame(0.0)
    assert frame is not None
    assert frame.drain
    assert keys(frame.released) == {A}
    assert state.settled


def test_a_drain_between_hello_and_welcome_is_still_sent() -> None:
    state = make_state()
    assert not state.hello(0.0).hello.draining
    state.drain()
    state.receive(WELCOME, 0.0)
    frame = state.next_frame(0.0)
    assert frame is not None
    assert frame.drain
    state.disconnected()
    assert state.hello(1.0).hello.draining


def test_goodbye_comes_alone_and_last() -> None:
    state = welcomed()
    state.receive(assign(A), 0.0)
    state.drain()
    state.release(A)
    state.leave()
    first, second = state.next_frame(0.0), state.next_frame(0.0)
    assert first is not None
    assert second is not None
    assert (first.goodbye, keys(first.released)) == (False, {A})
    assert second == wire.WorkerFrame(goodbye=True)


def test_rotation_tries_each_address_at_once_and_then_backs_off() -> None:
    rotation = Rotation(["a", "b", "c"], random.Random(1))
    first = [rotation.following() for _ in range(3)]
    assert {address for address, _ in first} == {"a", "b", "c"}
    assert [delay for _, delay in first] == [0.0, 0.0, 0.0]
    delays = [rotation.following()[1] for _ in range(12)]
    assert 0.025 <= delays[0] <= 0.05
    assert BACKOFF_MAX / 2 <= delays[-1] <= BACKOFF_MAX
    rotation.worked()
    assert rotation.following()[1] == 0.0


def test_rotation_moves_on_at_once_from_a_stream_that_was_welcomed_and_soon_broke() -> None:
    rotation = Rotation(["a", "b"], random.Random(1))
    outage = [rotation.following() for _ in range(10)]
    assert outage[-1][1] > 0.5
    rotation.broke_early()
    assert [delay for _, delay in (rotation.following(), rotation.following())] == [0.0, 0.0]
    assert rotation.following()[1] > 0


def test_rotation_backs_off_from_dispatchers_that_break_every_stream() -> None:
    rotation = Rotation(["a", "b"], random.Random(1))
    delays = []
    for _ in range(12):
        delays.append(rotation.following()[1])
        rotation.broke_early()
    assert delays[:3] == [0.0] * 3
    assert BACKOFF_MAX / 2 <= delays[-1] <= BACKOFF_MAX
    rotation.worked()
    rotation.following()
    rotation.broke_early()
    assert [delay for _, delay in (rotation.following(), rotation.following())] == [0.0, 0.0]


class LossyDispatcher(RuleBasedStateMachine):
    """A dispatcher with its table of attempts, and a stream that breaks at any moment."""

    def __init__(self) -> None:
        super().__init__()
        self.state = make_state()
        self.now = 0.0
        self.connected = False
        self.running: set[Key] = set()
        self.accepted: set[Key] = set()
        self.started: list[Key] = []
        self.handlers: set[Key] = set()
        self.next_task = 0

    def receive(self, frame: wire.DispatcherFrame) -> None:
        received = self.state.receive(frame, self.now)
        for start in received.starts:
            self.started.append((start.task_id, start.attempt))
            self.handlers.add((start.task_id, start.attempt))
        for key, reason in received.stops:
            if reason == wire.STOP_REASON_LOST:
                self.handlers.discard(key)

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        known = keys(self.state.hello(self.now).hello.running)
        assert known == self.state.held()
        self.receive(WELCOME)
        self.connected = True
        for key in known - self.running:
            self.receive(stop(key, wire.STOP_REASON_LOST))
        if missing := self.running - known:
            self.receive(assign(*missing, resent=True))

    @precondition(lambda self: self.connected)
    @rule()
    def disconnect(self) -> None:
        self.state.disconnected()
        self.connected = False

    @precondition(lambda self: len(self.running) < 10)
    @rule(delivered=st.booleans())
    def claim(self, delivered: bool) -> None:
        key = (f"t{self.next_task}", 1)
        self.next_task += 1
        self.running.add(key)
        if self.connected and delivered:
            self.receive(assign(key))
        elif self.connected:
            self.disconnect()

    @precondition(lambda self: self.running)
    @rule(data=st.data(), told=st.booleans())
    def requeue(self, data: st.DataObject, told: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.running)))
        self.running.discard(key)
        if self.connected and told:
            self.receive(stop(key, wire.STOP_REASON_LOST))

    @precondition(lambda self: self.handlers)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.handlers)))
        self.handlers.discard(key)
        assert self.state.finish(result(key))

    @precondition(lambda self: self.connected)
    @rule(acks_arrive=st.booleans())
    def send(self, acks_arrive: bool) -> None:
        frame = self.state.next_frame(self.now)
        verdicts = [self.complete(key) for key in keys(frame.results)] if frame else []
        if acks_arrive:
            for answer in verdicts:
                self.receive(answer)
        elif verdicts:
            self.disconnect()

    def complete(self, key: Key) -> wire.DispatcherFrame:
        if key in self.running:
            self.running.discard(key)
            self.accepted.add(key)
            return ack(key)
        return ack(key, wire.VERDICT_DUPLICATE if key in self.accepted else wire.VERDICT_STALE)

    @invariant()
    def nothing_is_started_twice(self) -> None:
        assert len(self.started) == len(set(self.started))

    @invariant()
    def what_runs_is_held(self) -> None:
        assert self.state.running == self.handlers

    def teardown(self) -> None:
        """Once the network is well and all handlers end, nobody holds anything."""
        if not self.connected:
            self.connect()
        for _ in range(2):  # what a break swallowed arrives with the next hello
            for key in sorted(self.handlers):
                self.handlers.discard(key)
                self.state.finish(result(key))
            self.send(True)
            self.disconnect()
            self.connect()
        assert self.state.settled
        assert not self.running


LossyDispatcher.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestLossyDispatcher = LossyDispatcher.TestCase
