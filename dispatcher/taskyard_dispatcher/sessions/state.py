"""A worker's session, as a pure state machine: frames in, frames out, no I/O, no clock of its own.

It alone changes itself, and tells the roster and the writer of its stream when that matters to them. The page "The life
of a session" in docs/ has its diagram.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.task import AttemptKey, RetryPolicy, TaskState
from taskyard_core.domain.transitions import Runner, Snapshot
from taskyard_core.storage import codec
from taskyard_core.storage.claims import Claimed
from taskyard_core.wire.gen import worker_service_pb2 as wire
from taskyard_dispatcher.sessions import frames
from taskyard_dispatcher.sessions.outgoing import OVERHEAD, Outgoing


class Phase(Enum):
    """Where a session stands. It goes on to a later phase and never back; the last two are ends."""

    OPEN = 1
    """Given tasks while it has free slots. The only phase in which it is."""
    DRAINING = 2
    """Given no more, because the worker or this dispatcher is about to stop; what runs goes on."""
    SUPERSEDED = 3
    """Its generation is over: the worker said hello again, or nobody may claim for it here any more."""
    BROKEN = 4
    """Its stream ended without a goodbye; the worker has its grace to say hello again."""
    LEFT = 5
    """Its worker said goodbye."""

    @property
    def accepting(self) -> bool:
        """Whether it may be given tasks."""
        return self is Phase.OPEN

    @property
    def connected(self) -> bool:
        """Whether its stream is open and is the one that counts."""
        return self is Phase.OPEN or self is Phase.DRAINING


@dataclass(slots=True)
class Running:
    """A claimed task; `since` is this dispatcher's monotonic clock, in seconds. Only its session changes it."""

    task: Claimed
    since: float
    cancel_requested: bool = False
    stopping: bool = False
    """The worker was told to stop it."""
    reported: bool = False
    """The worker has told how it ended."""

    @property
    def attempt(self) -> AttemptKey:
        """Which attempt of which task."""
        return self.task.task_id, self.task.attempt

    def snapshot(self, queue_retry: RetryPolicy | None) -> Snapshot:
        """What a decision about it looks at."""
        task = self.task
        return Snapshot(
            task.task_id,
            TaskState.RUNNING,
            task.attempt,
            task.failures,
            task.crashes,
            self.cancel_requested,
            codec.merged_retry(task.retry, queue_retry),
            task.session,
        )


def _nobody() -> None:
    return


class Session:
    """One worker on one stream: what it can do, what it runs, and what is to be sent to it.

    Slots count from the moment one is reserved for a task until the task's outcome is committed. Times are seconds of a
    monotonic clock.
    """

    def __init__(
        self, *, id: str, generation: int, runner: Runner, capabilities: Capabilities, slots: int, draining: bool
    ) -> None:
        self.id = id
        self.generation = generation
        self.runner = runner
        self.capabilities = capabilities
        self.slots = slots
        self.phase = Phase.DRAINING if draining else Phase.OPEN
        self.accepting = self.phase.accepting
        """Whether it may be given tasks when it has free slots."""
        self.running: dict[str, Running] = {}
        self.sent_on = False
        """The worker was asked to say hello to another dispatcher."""
        self.lacking = 0
        """Tasks that it runs, but was not sent yet: their payloads are too much at once."""
        self._reserved = 0
        self._heard_at = 0.0
        self._recordings: list[set[AttemptKey]] = []
        self._outgoing = Outgoing()
        self._tell_roster: Callable[[], None] = _nobody
        self._tell_writer: Callable[[], None] = _nobody

    def notify_roster(self, changed: Callable[[], None]) -> None:
        """Call this from now on when it begins or ceases to accept tasks."""
        self._tell_roster = changed

    def notify_writer(self, ready: Callable[[], None]) -> None:
        """Call this from now on when there are frames to send."""
        self._tell_writer = ready

    # Its phase

    @property
    def connected(self) -> bool:
        """Whether its stream is open and is the one that counts."""
        return self.phase.connected

    def drain(self) -> bool:
        """Accept no more tasks; whether that is news."""
        return self._enter(Phase.DRAINING)

    def send_on(self) -> None:
        """This dispatcher stops: accept no more tasks, and ask the worker to say hello to another."""
        self.drain()
        self.go_away()

    def supersede(self) -> None:
        """Its generation is over: it gets no more tasks here, and a worker that is still there must say hello again."""
        self._enter(Phase.SUPERSEDED)
        self.go_away()

    def stream_ended(self) -> None:
        """No more frames come or go."""
        self._enter(Phase.BROKEN)

    def leave(self) -> None:
        """The worker said goodbye, and what it reported before is settled."""
        self._enter(Phase.LEFT)

    def renewed(self, generation: int) -> None:
        """Its next generation has begun; claims under an earlier one come to nothing."""
        self.generation = generation

    def _enter(self, phase: Phase) -> bool:
        if phase.value <= self.phase.value or self.phase is Phase.BROKEN:
            return False
        accepted, self.phase, self.accepting = self.accepting, phase, phase.accepting
        if accepted != self.accepting:
            self._tell_roster()
        return True

    # Its slots

    @property
    def free(self) -> int:
        """Slots that may be filled now; none while the worker does not read what it was given."""
        if not self.accepting or self._outgoing.full:
            return 0
        return self.slots - len(self.running) - self.lacking - self._reserved

    @property
    def full(self) -> bool:
        """Whether too much waits to be sent to it: the worker does not read, or not fast enough."""
        return self._outgoing.full

    @property
    def carries(self) -> int:
        """How many more tasks may be on their way to it, if they are as large as the last."""
        return self._outgoing.carries

    def reserve(self) -> None:
        """Keep a slot for a task that may become its own."""
        self._reserved += 1

    def release(self) -> None:
        """Give up one reservation, whatever became of its task."""
        self._reserved -= 1

    def lacks(self, tasks: int) -> None:
        """So many that it runs are still to be sent to it; they have slots."""
        self.lacking = tasks

    # What it runs

    def runs(self, task_id: str, attempt: int) -> bool:
        """Whether it holds that attempt."""
        held = self.running.get(task_id)
        return held is not None and held.task.attempt == attempt

    def ends(self, task_id: str, attempt: int) -> bool:
        """Whether it holds that attempt and has not told yet how it ended; from now on it has."""
        held = self.running.get(task_id)
        if held is None or held.reported or held.task.attempt != attempt:
            return False
        held.reported = True
        return True

    def assign(self, running: Iterable[Running], assignments: Iterable[wire.Assignment]) -> None:
        """Hold the tasks, without what is large of them, and send their assignments."""
        count = weight = 0
        for held in running:
            size = len(held.task.payload or b"")
            if size > OVERHEAD:
                held.task = held.task._replace(payload=b"")
            count, weight = count + 1, weight + size
            self.running[held.task.task_id] = held
        self._outgoing.assign(assignments, count, weight)
        self._tell_writer()

    def interrupt(self, held: Running, reason: wire.StopReason.ValueType) -> bool:
        """Tell the worker to stop what it runs; False if it was told before. That a cancel was asked for is noted."""
        held.cancel_requested |= reason == wire.STOP_REASON_CANCELLED
        if held.stopping:
            return False
        held.stopping = True
        self.stop([frames.stop(held.task.task_id, held.task.attempt, reason)])
        return True

    def forget(self, task_id: str, attempt: int) -> None:
        """The attempt has ended; its slot is free."""
        if self.runs(task_id, attempt):
            del self.running[task_id]
        for ended in self._recordings:
            ended.add((task_id, attempt))

    @contextmanager
    def ended_meanwhile(self) -> Iterator[set[AttemptKey]]:
        """The attempts that end from now on, until the block does."""
        ended: set[AttemptKey] = set()
        self._recordings.append(ended)
        try:
            yield ended
        finally:
            # Not `remove`: it would take another one that has the same in it, such as nothing.
            self._recordings = [other for other in self._recordings if other is not ended]

    # What its worker sends

    def receive(self, frame: wire.WorkerFrame, now: float) -> bool:
        """Take in what a frame says of the session itself; whether the worker asks for no more tasks, and that is news.

        Results, releases and progress are the reader's matter, and so is the end that a goodbye brings, which must not
        overtake them. But whoever says it runs nothing that is sent to it from then on.
        """
        self.heard(now)
        if frame.HasField("heartbeat"):
            self._outgoing.heartbeat = frame.heartbeat.sequence
            self._tell_writer()
        return (frame.drain or frame.goodbye) and self.drain()

    def heard(self, now: float) -> None:
        """The worker is there, or its silence is our doing."""
        self._heard_at = now

    def silence(self, now: float) -> float:
        """Seconds since the worker was heard."""
        return now - self._heard_at

    # What is sent to it

    def acknowledge(self, acks: Iterable[wire.ResultAck]) -> None:
        """Send verdicts."""
        self._outgoing.acks.extend(acks)
        self._tell_writer()

    def stop(self, stops: Iterable[wire.Stop]) -> None:
        """Tell the worker to stop attempts, whether they are held here or not."""
        self._outgoing.stops.extend(stops)
        self._tell_writer()

    def breathe(self) -> None:
        """Send a frame, whatever is in it."""
        self._tell_writer()

    def go_away(self) -> None:
        """Ask the worker to say hello to another dispatcher."""
        self.sent_on = True
        self._outgoing.go_away = True
        self._tell_writer()

    def frames(self) -> list[wire.DispatcherFrame]:
        """All that waits to be sent."""
        return self._outgoing.take()

    def sent(self) -> bool:
        """Those frames are sent; whether there is room for more tasks, where there was none."""
        return self._outgoing.sent()
