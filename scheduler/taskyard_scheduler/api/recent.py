"""What was seen lately: a set that forgets by itself, and never grows beyond a bound."""

from collections.abc import Hashable
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


class Recent(Generic[Item]):
    """Remembers what was added for `period` seconds at least and twice that at most, up to twice `most` items.

    Two sets take turns, so that neither adding nor looking up costs more than it does in a set.
    """

    def __init__(self, period: float, most: int) -> None:
        self._period = period
        self._most = most
        self._since = float("-inf")
        self._young: set[Item] = set()
        self._old: set[Item] = set()

    def __contains__(self, item: Item) -> bool:
        return item in self._young or item in self._old

    def __len__(self) -> int:
        return len(self._young | self._old)

    def add(self, item: Item) -> None:
        """Remember the item from now on."""
        if item not in self._young:
            if len(self._young) >= self._most:
                self._turn()
            self._young.add(item)

    def pass_on(self, now: float) -> None:
        """It is so many seconds later: forget what is old. To be called now and then."""
        if now - self._since >= self._period:
            self._since = now
            self._turn()

    def _turn(self) -> None:
        self._old, self._young = self._young, set()
