"""What waits to be sent to a worker, as frames, and how many bytes of it: pure."""

from collections.abc import Iterable, Iterator

from taskyard_core.wire.gen.worker_service_pb2 import Assignment, DispatcherFrame, ResultAck, Stop

FRAME_BYTES = 1024 * 1024
"""A frame is closed once it has grown beyond this; well below gRPC's default limit of 4 MiB."""
FRAME_ASSIGNMENTS = 500
UNSENT_BYTES = 2 * 1024 * 1024
"""A session is given nothing more while this much waits to be sent to it."""
OVERHEAD = 256
"""About how many bytes an assignment costs beside its payload."""


class Outgoing:
    """Collects messages; the writer takes all of them as frames, and tells when those are sent."""

    def __init__(self) -> None:
        self.acks: list[ResultAck] = []
        self.stops: list[Stop] = []
        self.heartbeat: int | None = None
        self.go_away = False
        self._assignments: list[Assignment] = []
        self._unsent = 0
        self._being_sent = 0
        self._usual = 0.0

    @property
    def full(self) -> bool:
        """Whether too much waits: the worker does not read, or not fast enough."""
        return self._unsent >= UNSENT_BYTES

    @property
    def carries(self) -> int:
        """How many more assignments there is room for, if they are as large as the last."""
        return int((UNSENT_BYTES - self._unsent) / (self._usual + OVERHEAD)) + 1

    def assign(self, assignments: Iterable[Assignment], count: int, weight: int) -> None:
        """Send assignments; as many as `count` count, with payloads of `weight` bytes in all."""
        self._assignments.extend(assignments)
        if count:
            self._usual += (weight / count - self._usual) / 4
        self._unsent += weight + count * OVERHEAD

    def take(self) -> list[DispatcherFrame]:
        """All that waits; at least one frame."""
        frames = list(self._frames())
        self._assignments, self.acks, self.stops, self.heartbeat, self.go_away = [], [], [], None, False
        self._being_sent = self._unsent
        return frames

    def sent(self) -> bool:
        """What was taken is sent; whether there is room for more assignments, where there was none."""
        was_full = self.full
        self._unsent -= self._being_sent
        self._being_sent = 0
        return was_full and not self.full

    def _frames(self) -> Iterator[DispatcherFrame]:
        frame = DispatcherFrame(acks=self.acks, stops=self.stops, go_away=self.go_away)
        if self.heartbeat is not None:
            frame.heartbeat.sequence = self.heartbeat
        batch: list[Assignment] = []
        size = 0
        for assignment in self._assignments:
            batch.append(assignment)
            size += len(assignment.payload) + OVERHEAD
            if size > FRAME_BYTES or len(batch) == FRAME_ASSIGNMENTS:
                frame.assignments.extend(batch)
                yield frame
                frame, batch, size = DispatcherFrame(), [], 0
        frame.assignments.extend(batch)
        yield frame
