"""What a check finds."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from chaos.history.record import History


class Violation(NamedTuple):
    """A broken invariant: which, how, and the whole story of the task that shows it."""

    invariant: str
    message: str
    task: str | None = None
    story: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n    ".join((f"{self.invariant}: {self.message}", *self.story))


Check = Callable[[History], Iterable[Violation]]
"""Pure, and linear in the history. It names tasks; `verdict` adds their stories."""
