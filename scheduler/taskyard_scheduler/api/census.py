"""How many of something callers have at once, refused rather than made to wait."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from taskyard_scheduler.api import failures


class Census:
    """At most `most` in all, and `each` of one caller; whom it refuses hears `what`."""

    def __init__(self, most: int, each: int, what: str) -> None:
        self.most = most
        self.each = each
        self._what = what
        self._of: Counter[str] = Counter()
        self.total = 0

    @property
    def callers(self) -> int:
        """Who has some."""
        return len(self._of)

    @contextmanager
    def counted(self, who: str, number: int = 1) -> Iterator[None]:
        """So many more of the caller, for as long as the block runs; raises Failure where that is too many."""
        self.enter(who, number)
        try:
            yield
        finally:
            self.leave(who, number)

    def enter(self, who: str, number: int = 1) -> None:
        """So many more of the caller, until they `leave`; raises Failure where that is too many."""
        of_caller = self._of[who] + number
        if self.total + number > self.most or of_caller > self.each:
            raise failures.too_many(self._what)
        self.total += number
        self._of[who] = of_caller

    def leave(self, who: str, number: int = 1) -> None:
        """So many fewer of the caller."""
        self.total -= number
        self._of[who] -= number
        if not self._of[who]:
            del self._of[who]
