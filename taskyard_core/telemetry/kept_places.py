"""Which names have a series of their own, however many clients invent."""

from collections.abc import Container, Iterable, Iterator
from typing import Generic, TypeVar

Place = TypeVar("Place", bound=tuple[str, ...])


class KeptPlaces(Generic[Place]):
    """Keeps the places that were seen, so that a series stays when nothing is there any more.

    At most `limit` are kept. Beyond that a place takes that of one where nothing is, or is not kept.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._kept: dict[Place, None] = {}

    def __contains__(self, place: Place) -> bool:
        return place in self._kept

    def __iter__(self) -> Iterator[Place]:
        return iter(self._kept)

    def see(self, places: Iterable[Place], busy: Container[Place]) -> None:
        """These places are there; something is in those that are `busy`."""
        idle = iter([kept for kept in self._kept if kept not in busy])
        for place in places:
            if place in self._kept:
                continue
            if len(self._kept) >= self._limit:
                given_up = next(idle, None) if place in busy else None
                if given_up is None:
                    continue
                del self._kept[given_up]
            self._kept[place] = None
