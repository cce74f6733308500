"""Whether a worker hears what is sent to it, by what its heartbeats tell."""

from collections import deque


class Hearing:
    """Compares what a worker has heard with the echoes that went to it, in the worker's own time.

    Heartbeats may lie unread for long, where a stream is not read on. So nothing counts that they could not know: each
    was sent at least an interval after the one before, and not before the echo came that it tells of.
    """

    def __init__(self, interval: float, opened: float) -> None:
        self._interval = interval
        self._sent = opened
        """The earliest time at which the newest heartbeat can have been sent."""
        self._newest: int | None = None
        self._echoes: deque[tuple[int, float]] = deque()
        """Those that it has not told of yet, and when they went."""

    def heard(self, sequence: int, heard: int, now: float) -> float:
        """A heartbeat has been read, and is echoed: seconds for which the worker had not received what was sent."""
        if self._newest is not None:
            if sequence <= self._newest:
                return 0.0
            self._sent += self._interval * (sequence - self._newest)
        self._newest = sequence
        while self._echoes and self._echoes[0][0] <= heard:
            self._sent = max(self._sent, self._echoes.popleft()[1])
        self._echoes.append((sequence, now))
        return self._sent + self._interval - self._echoes[0][1]
