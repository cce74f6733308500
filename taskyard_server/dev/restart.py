"""When a process that ended is started again."""

from dataclasses import dataclass

# A process that lived this long was healthy: its end says nothing about the next start.
HEALTHY_SECONDS = 10.0


@dataclass(frozen=True)
class Restart:
    """Waits `first` seconds, twice as long after each early end, at most `longest`."""

    first: float
    longest: float = 10.0

    def delay(self, early_ends: int) -> float:
        """Seconds to wait after the last of `early_ends` ends in a row that came too early."""
        doublings = min(max(early_ends - 1, 0), 32)
        return min(self.longest, self.first * 2.0**doublings)


# Workers hold no ports and come back almost at once. The others leave a second in which the rest of
# the cluster does without them, as it would have to on other machines.
RESTARTS = {"worker": Restart(first=0.2)}
DEFAULT_RESTART = Restart(first=1.0)


def restart_of(role: str) -> Restart:
    """The rule for processes of `role`."""
    return RESTARTS.get(role, DEFAULT_RESTART)
