"""What goes through lanes, and what a store of lanes does: publish, take, acknowledge, give back, reclaim."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from taskyard_core.domain.lanes import place


class Entry(NamedTuple):
    """One delivery of a task through a lane; `entry_id` is the stream's and only good for handing back."""

    lane: str
    entry_id: bytes
    task_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Quota:
    """How many entries of a lane are wanted before what is left goes to whichever lane has more."""

    lane: str
    count: int


Entries = dict[str, list[tuple[str, int]]]
"""What lanes are to hold: (task id, attempt) pairs, by the lane's name."""


class Page(NamedTuple):
    """Names of some lanes, and the position that leads to the others; it is empty at the end, and in the beginning."""

    names: list[str]
    position: str


@dataclass(frozen=True, slots=True)
class LaneDepth:
    """Entries in a lane, and those of them that were taken but not acknowledged."""

    length: int
    pending: int


class LaneStore(Protocol):
    """The lanes of one cluster, named as `Lane.name` does.

    Every method raises StoreUnavailable while the store is away; what was asked has then happened or not, and may be
    asked again. An entry can reach readers more than once and be lost when the store is: only the task store knows.
    """

    async def publish(self, entries: Entries) -> None:
        """Appends (task id, attempt) pairs to the lanes they are listed under, and hints once for all."""

    async def take(self, consumer: str, plan: Sequence[Quota], budget: int) -> list[Entry]:
        """Up to `budget` new entries for a consumer; they are pending then, and no other consumer gets them here.

        Each lane gives up to its quota, which may be 0; what is left of the budget goes to lanes that have more, those
        of one queue in the plan's order. What a failed or cancelled call has taken comes back through `reclaim`.
        """

    async def ack(self, entries: Iterable[Entry]) -> None:
        """Forgets entries that were dealt with."""

    async def give_back(self, entries: Iterable[Entry]) -> None:
        """Puts entries that cannot be used here at the end of their lanes, for any consumer, and hints."""

    async def reclaim(self, consumer: str, lanes: Iterable[str], idle_ms: int, budget: int) -> list[Entry]:
        """Takes over up to `budget` entries that any consumer took at least `idle_ms` ago, and nobody acknowledged.

        They are pending for `consumer` then.
        """

    async def check_takes_entries(self) -> None:
        """Raises StoreUnavailable where lanes can be read and entries are refused: full, say, or a replica."""

    async def page(self, position: str) -> Page:
        """About a thousand names of lanes that were published to and not swept since, from a position on.

        Pages together have all names that are there from the first to the last of them; some may come twice.
        """

    async def depths(self, lanes: Collection[str]) -> dict[str, LaneDepth]:
        """How full each lane is; a lane that is not there has depth 0."""

    async def sweep(self, lane: str, idle_ms: int) -> bool:
        """Removes a lane to which nothing came for `idle_ms`; False when it is in use.

        The caller knows that what came before is of tasks that wait no more.
        """


def tag(lane: str) -> str:
    """The `namespace/queue` of a lane's name. Raises ValueError for what is not the name of a lane."""
    return "/".join(place(lane))


async def all_names(lanes: LaneStore) -> set[str]:
    """The names of all lanes that were published to and not swept since, page by page."""
    names: set[str] = set()
    position = ""
    while True:
        some, position = await lanes.page(position)
        names.update(some)
        if not position:
            return names


def lane_entries(tasks: Iterable[tuple[str, str, int]]) -> Entries:
    """Tasks by lane, id and attempt as entries of their lanes, in order."""
    lanes: Entries = {}
    for lane, task_id, attempt in tasks:
        lanes.setdefault(lane, []).append((task_id, attempt))
    return lanes


def by_lane(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """The entries of each lane, in order."""
    lanes: dict[str, list[Entry]] = {}
    for entry in entries:
        lanes.setdefault(entry.lane, []).append(entry)
    return lanes
