"""The worker's side of a session as a pure state machine: no I/O, no threads, no clock of its own.

One `SessionState` lives as long as its worker process and outlasts every stream. It knows which attempts the worker
holds, decides what of a received frame is news, and composes the frames to send. `session.py` drives it; the rules it
keeps are those of docs/worker-protocol.md.

Times are seconds of any monotonic clock, passed in by the caller.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from google.protobuf.duration_pb2 import Duration

from taskyard._gen import worker_service_pb2 as wire
from taskyard._gen.task_pb2 import Progress
from taskyard.worker.journal import logger

Key = tuple[str, int]
"""(task id, attempt): the fencing token."""

DEFAULT_HEARTBEAT_INTERVAL = 3.0
DEFAULT_SESSION_TIMEOUT = 10.0
WELCOME_TIMEOUT = 5.0
"""Seconds a dispatcher has to answer the hello."""
PROGRESS_INTERVAL = 0.5
"""Seconds between two frames with progress; what is reported meanwhile is coalesced."""
MAX_RESULTS_PER_FRAME = 1000
MAX_FRAME_BYTES = 2 * 1024 * 1024
REMEMBERED = 10_000
"""How many acknowledged attempts are remembered at least, so that a late resend does not run one again."""
# Room for what else may be in a frame beside results and for their framing.
_RESULT_BYTES_PER_FRAME = MAX_FRAME_BYTES - 512 * 1024
_MAX_PROGRESS_PER_FRAME = 200
_BYTES_OF_FRAMING = 8


class ProtocolError(Exception):
    """The dispatcher sent what the protocol does not allow; the stream is of no use."""


@dataclass(slots=True)
class Received:
    """What a frame asks the worker to do."""

    starts: list[wire.Assignment] = field(default_factory=list)
    stops: list[tuple[Key, "wire.StopReason.ValueType"]] = field(default_factory=list)
    go_away: bool = False


class SessionState:
    """Attempts held, results to bring home, and the stream's phase.

    `identity` is the hello without what changes during the worker's life (running, draining).
    """

    def __init__(self, identity: wire.Hello) -> None:
        self.identity = identity
        self.running: set[Key] = set()
        self.unacked: dict[Key, wire.TaskResult] = {}
        # Acknowledged attempts in two generations, so that forgetting the older one costs nothing.
        self._settled: set[Key] = set()
        self._settled_before: set[Key] = set()
        self._unsent: deque[Key] = deque()
        self._released: deque[Key] = deque()
        self._progress: dict[Key, wire.TaskProgress] = {}
        self._progress_from = 0.0
        self.welcomed = False
        self.generation = 0
        self.dispatcher = ""
        self.draining = False
        self._drain_unsent = False
        self._leaving = False
        self.heartbeat_interval = DEFAULT_HEARTBEAT_INTERVAL
        self.session_timeout = DEFAULT_SESSION_TIMEOUT
        self._sequence = 0
        self._heard = 0
        self._heartbeat_at = 0.0
        self._silent_at: float | None = None
        self.stale = 0

    @property
    def session_id(self) -> str:
        """The session's id, the same in every hello."""
        return self.identity.session_id

    # The stream's life

    def hello(self, now: float) -> wire.WorkerFrame:
        """Begin a stream: the first frame, listing every attempt held."""
        self.welcomed = False
        self._silent_at = now + WELCOME_TIMEOUT
        hello = wire.Hello()
        hello.CopyFrom(self.identity)
        hello.draining = self.draining
        self._drain_unsent = False
        hello.running.extend(_refs(self.held()))
        return wire.WorkerFrame(hello=hello)

    def held(self) -> set[Key]:
        """Attempts the worker has: running, or finished or released without the dispatcher knowing."""
        return self.running | self.unacked.keys() | set(self._released)

    def disconnected(self) -> None:
        """The stream is gone; all that is held stays."""
        self.welcomed = False
        self._silent_at = None
        self._unsent.clear()

    def is_silent(self, now: float) -> bool:
        """Whether the dispatcher has not sent a frame for so long that the stream must be given up."""
        return self._silent_at is not None and now >= self._silent_at

    @property
    def silent_at(self) -> float | None:
        """When the stream is given up if nothing comes; None without a stream."""
        return self._silent_at

    # What the dispatcher sends

    def receive(self, frame: wire.DispatcherFrame, now: float) -> Received:
        """Take a frame in. Raises `ProtocolError` when the stream's first frame has no welcome."""
        if frame.HasField("welcome"):
            self._welcome(frame.welcome, now)
        elif not self.welcomed:
            raise ProtocolError("the dispatcher's first frame has no welcome")
        self._silent_at = now + self.session_timeout
        if frame.HasField("heartbeat"):
            self._heard = max(self._heard, frame.heartbeat.sequence)
        received = Received(go_away=frame.go_away)
        for ack in frame.acks:
            self._acknowledge(ack)
        for stop in frame.stops:
            self._stop(stop, received)
        for assignment in frame.assignments:
            self._assign(assignment, received)
        return received

    def _welcome(self, welcome: wire.Welcome, now: float) -> None:
        self.welcomed = True
        self.dispatcher = welcome.dispatcher
        self.generation = welcome.generation
        self.heartbeat_interval = _seconds(welcome.heartbeat_interval, DEFAULT_HEARTBEAT_INTERVAL)
        self.session_timeout = _seconds(welcome.session_timeout, DEFAULT_SESSION_TIMEOUT)
        self._heartbeat_at = now + self.heartbeat_interval
        # What was sent before is not answered here.
        self._heard = self._sequence
        # The old stream's fate is unknown, so every result that was never acknowledged goes again.
        self._unsent = deque(self.unacked)

    def _acknowledge(self, ack: wire.ResultAck) -> None:
        # Any verdict ends the result: the dispatcher has decided, sending again changes nothing.
        key = (ack.task_id, ack.attempt)
        if self.unacked.pop(key, None) is None:
            return
        self._settled.add(key)
        if len(self._settled) >= REMEMBERED:
            self._settled_before, self._settled = self._settled, set()
        if ack.verdict != wire.VERDICT_ACCEPTED:
            self._log_refusal(ack)

    def _log_refusal(self, ack: wire.ResultAck) -> None:
        where = {"task_id": ack.task_id, "attempt": ack.attempt}
        if ack.verdict == wire.VERDICT_STALE:
            self.stale += 1
            logger.warning(
                "result of task %s attempt %d came too late and was dropped",
                ack.task_id,
                ack.attempt,
                extra=where,
            )
        elif ack.verdict == wire.VERDICT_INVALID:
            logger.error(
                "result of task %s attempt %d was refused as invalid",
                ack.task_id,
                ack.attempt,
                extra=where,
            )

    def _stop(self, stop: wire.Stop, received: Received) -> None:
        key = (stop.task_id, stop.attempt)
        # A finished attempt's result is judged by its ack, whatever a stop that crossed it says.
        if key not in self.running:
            return
        if stop.reason == wire.STOP_REASON_LOST:
            self.running.discard(key)
            self._progress.pop(key, None)
        received.stops.append((key, stop.reason))

    def _assign(self, assignment: wire.Assignment, received: Received) -> None:
        key = (assignment.task_id, assignment.attempt)
        if self._is_known(key):
            return
        if self.draining:
            # It crossed our drain, or we released it and the frame was lost.
            if key not in self._released:
                self._released.append(key)
            return
        self.running.add(key)
        received.starts.append(assignment)

    def _is_known(self, key: Key) -> bool:
        if key in self.running or key in self.unacked:
            return True
        return key in self._settled or key in self._settled_before

    # What the worker does

    def finish(self, result: wire.TaskResult) -> bool:
        """Keep a result until its ack. False: the attempt isn't held any more and nothing is sent."""
        key = (result.task_id, result.attempt)
        if key not in self.running:
            return False
        self.running.discard(key)
        if self._progress:
            self._progress.pop(key, None)
        self.unacked[key] = result
        if self.welcomed:
            self._unsent.append(key)
        return True

    def release(self, key: Key) -> bool:
        """Hand a running attempt back unfinished. False: it isn't held any more."""
        if key not in self.running:
            return False
        self.running.discard(key)
        self._progress.pop(key, None)
        self._released.append(key)
        return True

    def report_progress(self, key: Key, fraction: float, message: str) -> bool:
        """Replace what is to be sent of a running attempt's progress. True: `next_due` may have changed."""
        if key not in self.running:
            return False
        first = not self._progress
        self._progress[key] = wire.TaskProgress(
            task_id=key[0],
            attempt=key[1],
            progress=Progress(fraction=fraction, message=message),
        )
        return first

    def drain(self) -> None:
        """Take no more assignments; those that still come are handed back."""
        if not self.draining:
            self.draining = True
            self._drain_unsent = True

    def leave(self) -> None:
        """End the session with the next frames; only once it is settled."""
        self._leaving = True

    @property
    def settled(self) -> bool:
        """Nothing runs, all results are acknowledged, all releases are sent."""
        return not (self.running or self.unacked or self._released)

    # What to send

    def next_frame(self, now: float) -> wire.WorkerFrame | None:
        """Everything that is ready, up to a frame's limits; None if there is nothing to send."""
        if not self.welcomed:
            return None
        frame = wire.WorkerFrame()
        filled = self._add_results(frame)
        filled |= self._add_released(frame)
        filled |= self._add_progress(frame, now)
        filled |= self._add_heartbeat(frame, now)
        if self._drain_unsent:
            self._drain_unsent = False
            frame.drain = filled = True
        if self._leaving and not filled:
            # Alone: the dispatcher ends the session on it and looks no further.
            frame.goodbye = filled = True
        return frame if filled else None

    def next_due(self) -> float | None:
        """When `next_frame` has something to say by the clock alone; None without a welcome."""
        if not self.welcomed:
            return None
        if self._progress:
            return min(self._heartbeat_at, self._progress_from)
        return self._heartbeat_at

    def _add_results(self, frame: wire.WorkerFrame) -> bool:
        batch: list[wire.TaskResult] = []
        room = _RESULT_BYTES_PER_FRAME
        unsent, unacked = self._unsent, self.unacked
        while unsent and len(batch) < MAX_RESULTS_PER_FRAME:
            result = unacked.get(unsent[0])
            if result is not None:
                room -= result.ByteSize() + _BYTES_OF_FRAMING
                if room < 0 and batch:
                    break
                batch.append(result)
            unsent.popleft()
        frame.results.extend(batch)
        return bool(batch)

    def _add_released(self, frame: wire.WorkerFrame) -> bool:
        batch = [self._released.popleft() for _ in range(min(len(self._released), 1000))]
        frame.released.extend(_refs(batch))
        return bool(batch)

    def _add_progress(self, frame: wire.WorkerFrame, now: float) -> bool:
        if not self._progress or now < self._progress_from:
            return False
        self._progress_from = now + PROGRESS_INTERVAL
        for key in list(self._progress)[:_MAX_PROGRESS_PER_FRAME]:
            frame.progress.append(self._progress.pop(key))
        return True

    def _add_heartbeat(self, frame: wire.WorkerFrame, now: float) -> bool:
        if now < self._heartbeat_at:
            return False
        self._sequence += 1
        self._heartbeat_at = now + self.heartbeat_interval
        frame.heartbeat.sequence = self._sequence
        frame.heartbeat.heard = self._heard
        return True


def _refs(keys: Iterable[Key]) -> Iterable[wire.AttemptRef]:
    return [wire.AttemptRef(task_id=task_id, attempt=attempt) for task_id, attempt in keys]


def _seconds(duration: Duration, default: float) -> float:
    seconds = duration.seconds + duration.nanos / 1e9
    return seconds if seconds > 0 else default
