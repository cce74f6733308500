"""What is to be published after attempts have ended: the tasks among them that are QUEUED again."""

from collections import defaultdict
from collections.abc import Iterable

from scheduler.domain.task import TaskState
from scheduler.telemetry import Ended


def lane_entries(ends: Iterable[Ended]) -> dict[str, list[tuple[str, int]]]:
    """Lane name to (task id, attempt) of each task that waits again."""
    entries: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for ended in ends:
        if ended.transition.target is TaskState.QUEUED:
            entries[ended.lane].append((ended.transition.id, ended.transition.attempt))
    return entries
