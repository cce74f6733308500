"""Who gets what: tasks are spread over the fitting sessions by free slots."""

import heapq
from collections.abc import Mapping, Sequence

from taskyard_dispatcher.sessions.state import Session


class Reservation:
    """Slots that are kept for tasks, one each, until it is known what became of their claim."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self.able = {session.id: session for session in sessions}
        self.sessions: list[Session] = []
        """Whose slots are kept, one for each task, in the order of the tasks."""

    def fill(self, count: int) -> list[Session]:
        """Keep slots for `count` tasks, or as many as are free, in place of those that were kept until now."""
        self.release()
        chosen = spread(count, {id: session.free for id, session in self.able.items()})
        self.sessions = [self.able[id] for id in chosen]
        for session in self.sessions:
            session.reserve()
        return self.sessions

    def release(self) -> None:
        """Keep them no longer."""
        for session in self.sessions:
            session.release()
        self.sessions = []


def spread(count: int, free: Mapping[str, int]) -> list[str]:
    """Session ids for `count` tasks, one each, always the session with most free slots next.

    Shorter than `count` if there are fewer slots; no session gets more than it has free.
    """
    if len(free) == 1:
        ((session, slots),) = free.items()
        return [session] * min(count, slots)
    heap = [(-slots, session) for session, slots in free.items() if slots > 0]
    heapq.heapify(heap)
    chosen: list[str] = []
    while heap and len(chosen) < count:
        slots, session = heap[0]
        chosen.append(session)
        if slots == -1:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (slots + 1, session))
    return chosen
