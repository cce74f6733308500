"""What is counted, and the tasks that do it: pure but for looking for the files."""

import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from taskyard import TaskRequest

QUEUE = "word-count"
FOREIGN = frozenset({"site-packages", "dist-packages"})
PRIORITIES = 11
SSD_EVERY = 10
SSD_WORKER = "worker-4"
# One task in twenty is submitted twice: half of those at once, the others when all are submitted.
TWICE_AT_ONCE = (40, 0)
TWICE_LATER = (40, 20)


@dataclass(frozen=True)
class Plan:
    """The files, one task for each, and what is submitted: some of the tasks twice."""

    files: tuple[Path, ...]
    requests: tuple[TaskRequest, ...]

    @property
    def duplicates(self) -> int:
        """How many submits must be refused as known."""
        return len(self.requests) - len(self.files)

    @property
    def restricted(self) -> int:
        """How many tasks only the worker with the label may run."""
        return sum(1 for place in range(len(self.files)) if place % SSD_EVERY == 0)


def standard_library() -> Iterator[Path]:
    """Every .py file that came with the running interpreter, in order."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if not FOREIGN.intersection(path.relative_to(root).parts) and path.is_file():
            yield path


def make_plan(files: Sequence[Path]) -> Plan:
    """The tasks for `files`."""
    originals = [_request(place, path) for place, path in enumerate(files)]
    submitted: list[TaskRequest] = []
    for place, request in enumerate(originals):
        submitted.append(request)
        if _falls_on(place, TWICE_AT_ONCE):
            submitted.append(request)
    submitted += [request for place, request in enumerate(originals) if _falls_on(place, TWICE_LATER)]
    return Plan(tuple(files), tuple(submitted))


def _request(place: int, path: Path) -> TaskRequest:
    return TaskRequest(
        "demo.word_count",
        {"path": str(path)},
        queue=QUEUE,
        priority=place % PRIORITIES,
        selector="io=ssd" if place % SSD_EVERY == 0 else "",
        idempotency_key=f"word-count-{place}",
    )


def _falls_on(place: int, rhythm: tuple[int, int]) -> bool:
    every, offset = rhythm
    return place % every == offset


def count_plainly(files: Iterable[Path]) -> Counter[str]:
    """The words of all files, counted one after another in this process."""
    counts: Counter[str] = Counter()
    for path in files:
        counts.update(path.read_text(encoding="utf-8", errors="replace").split())
    return counts
