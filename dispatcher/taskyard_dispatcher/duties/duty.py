"""What every duty of the leader is, and how it may end."""

from typing import Protocol

from taskyard_dispatcher.leadership import Term


class Duty(Protocol):
    """One thing that only the leader does. What it remembers lasts for one term.

    `interval` is the pause in seconds between runs, asked for after each.
    """

    @property
    def name(self) -> str:
        """One word or two, for logs."""

    @property
    def interval(self) -> float:
        """Seconds to wait before the next run."""

    async def run_once(self, term: Term) -> None:
        """Do what there is to do; soon done, however much there is: what is left comes with the next run.

        Raises StoreUnavailable when it must wait, TermOver when another leader has taken over.
        """
