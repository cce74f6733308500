"""Worker sessions held by this dispatcher, in memory."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.task import RetryPolicy, TaskState
from taskyard_core.domain.transitions import Snapshot
from taskyard_core.storage import codec
from taskyard_core.storage.claims import Claimed
from taskyard_core.telemetry import Runner
from taskyard_core.wire.gen.worker_service_pb2 import Assignment, DispatcherFrame, ResultAck, Stop

FRAME_BYTES = 1024 * 1024
"""A frame is closed once it has grown beyond this; well below gRPC's default limit of 4 MiB."""
FRAME_ASSIGNMENTS = 500
UNSENT_BYTES = 2 * 1024 * 1024
"""A session is given nothing more while this much waits to be sent to it."""
_OVERHEAD = 256
"""About what an assignment costs beside its payload."""


@dataclass(slots=True)
class Running:
    """A claimed task; `since` is this dispatcher's monotonic clock, in seconds."""

    task: Claimed
    since: float
    cancel_requested: bool = False
    stopping: bool = False
    """The worker was told to stop it."""
    reported: bool = False
    """The worker has told how it ended."""

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


@dataclass(slots=True)
class Outgoing:
    """What waits to be sent; the writer takes all of it as frames."""

    assignments: list[Assignment] = field(default_factory=list)
    acks: list[ResultAck] = field(default_factory=list)
    stops: list[Stop] = field(default_factory=list)
    heartbeat: int | None = None
    go_away: bool = False


class Session:
    """One worker: what it can do, what it runs, and what is to be sent to it.

    Slots count from the moment a lane entry is reserved for the session until the outcome is committed.
    """

    def __init__(
        self, *, id: str, generation: int, runner: Runner, capabilities: Capabilities, slots: int, draining: bool
    ) -> None:
        self.id = id
        self.generation = generation
        self.runner = runner
        self.capabilities = capabilities
        self.slots = slots
        self.draining = draining
        self.connected = True
        self.running: dict[str, Running] = {}
        self.reserved = 0
        self.lacking = 0
        """Tasks that it runs, but was not sent yet: their payloads are too much at once."""
        self.reporting: set[asyncio.Task[None]] = set()
        self.last_frame = 0.0
        self.said_goodbye = False
        self.sent_on = False
        self._unsent = 0
        self._being_sent = 0
        self._usual = 0.0
        self._recordings: list[set[tuple[str, int]]] = []
        self._outgoing = Outgoing()
        self._wake = asyncio.Event()

    @property
    def free(self) -> int:
        """Slots that may be filled now; none while the worker does not read what it was given."""
        if self.draining or not self.connected or self.full:
            return 0
        return self.slots - len(self.running) - self.reserved - self.lacking

    @property
    def full(self) -> bool:
        """Whether too much waits to be sent to it: the worker does not read, or not fast enough."""
        return self._unsent >= UNSENT_BYTES

    @property
    def carries(self) -> int:
        """How many more tasks may be on their way to it, if they are as large as the last."""
        return int((UNSENT_BYTES - self._unsent) / (self._usual + _OVERHEAD)) + 1

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

    def note_reporting(self, work: asyncio.Task[None]) -> None:
        """What it reported is being settled."""
        self.reporting.add(work)
        work.add_done_callback(self.reporting.discard)

    def assign(self, running: Iterable[Running], assignments: Iterable[Assignment]) -> None:
        """Hold the tasks, without what is large of them, and send their assignments."""
        self._outgoing.assignments.extend(assignments)
        count = weight = 0
        for held in running:
            size = len(held.task.payload or b"")
            if size > _OVERHEAD:
                held.task = held.task._replace(payload=b"")
            count, weight = count + 1, weight + size
            self.running[held.task.task_id] = held
        if count:
            self._usual += (weight / count - self._usual) / 4
        self._unsent += weight + count * _OVERHEAD
        self._wake.set()

    def acknowledge(self, acks: Iterable[ResultAck]) -> None:
        """Send verdicts."""
        self._outgoing.acks.extend(acks)
        self._wake.set()

    def stop(self, stops: Iterable[Stop]) -> None:
        """Tell the worker to stop attempts."""
        self._outgoing.stops.extend(stops)
        self._wake.set()

    def echo(self, sequence: int) -> None:
        """Answer a heartbeat."""
        self._outgoing.heartbeat = sequence
        self._wake.set()

    def breathe(self) -> None:
        """Send a frame, whatever is in it."""
        self._wake.set()

    def go_away(self) -> None:
        """Ask the worker to say hello to another dispatcher."""
        self.sent_on = True
        self._outgoing.go_away = True
        self._wake.set()

    def forget(self, task_id: str, attempt: int) -> None:
        """The attempt has ended; its slot is free."""
        if self.runs(task_id, attempt):
            del self.running[task_id]
        for ended in self._recordings:
            ended.add((task_id, attempt))

    @contextmanager
    def ended_meanwhile(self) -> Iterator[set[tuple[str, int]]]:
        """The attempts that end from now on, until the block does."""
        ended: set[tuple[str, int]] = set()
        self._recordings.append(ended)
        try:
            yield ended
        finally:
            # Not `remove`: it would take another one that has the same in it, such as nothing.
            self._recordings = [other for other in self._recordings if other is not ended]

    def supersede(self) -> None:
        """Its generation is over: it gets no more tasks here, and a worker that is still there must say hello again."""
        self.connected = False
        self.go_away()

    async def frames(self) -> list[DispatcherFrame]:
        """All that waits to be sent, as soon as there is something."""
        await self._wake.wait()
        self._wake.clear()
        outgoing, self._outgoing = self._outgoing, Outgoing()
        self._being_sent = self._unsent
        return list(_frames(outgoing))

    def sent(self) -> bool:
        """All of that is sent; whether there is room for more tasks, where there was none."""
        was_full = self.full
        self._unsent -= self._being_sent
        self._being_sent = 0
        return was_full and not self.full


def _frames(outgoing: Outgoing) -> Iterator[DispatcherFrame]:
    frame = DispatcherFrame(acks=outgoing.acks, stops=outgoing.stops, go_away=outgoing.go_away)
    if outgoing.heartbeat is not None:
        frame.heartbeat.sequence = outgoing.heartbeat
    batch: list[Assignment] = []
    size = 0
    for assignment in outgoing.assignments:
        batch.append(assignment)
        size += len(assignment.payload) + _OVERHEAD
        if size > FRAME_BYTES or len(batch) == FRAME_ASSIGNMENTS:
            frame.assignments.extend(batch)
            yield frame
            frame, batch, size = DispatcherFrame(), [], 0
    frame.assignments.extend(batch)
    yield frame


class Roster:
    """All sessions of this dispatcher by id; `version` rises when who may be given tasks changes."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self.version = 0

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, id: str) -> Session | None:
        """The session of that id, if it is here."""
        return self._sessions.get(id)

    def put(self, session: Session) -> Session | None:
        """Add it; returns the one that it replaces."""
        former = self._sessions.get(session.id)
        self._sessions[session.id] = session
        self.version += 1
        return former

    def remove(self, session: Session) -> None:
        """Forget it, unless a newer one has taken its place."""
        if self._sessions.get(session.id) is session:
            del self._sessions[session.id]
            self.version += 1

    def changed(self) -> None:
        """A session began or ceased to accept tasks."""
        self.version += 1

    def accepting(self) -> list[Session]:
        """Sessions that take tasks when they have free slots."""
        return [s for s in self._sessions.values() if s.connected and not s.draining]

    def holders(self, task_ids: Iterable[str]) -> Iterator[tuple[Session, Running]]:
        """Which session runs each of the tasks; those that none runs are left out."""
        for task_id in task_ids:
            for session in self._sessions.values():
                if held := session.running.get(task_id):
                    yield session, held
