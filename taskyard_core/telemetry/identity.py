"""Which process speaks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Identity:
    """A process of the cluster: its role ("scheduler", "dispatcher"), its pod's name and its own id."""

    role: str
    pod: str
    id: str
