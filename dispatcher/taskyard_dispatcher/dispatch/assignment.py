"""Who gets what: tasks are spread over the fitting sessions by free slots."""

import heapq
from collections.abc import Mapping


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
