"""The workers that the workloads need: groups of equal ones, each run by `python -m chaos.worker`."""

from collections.abc import Mapping
from typing import NamedTuple

POISON_QUEUE = "poison"


class Group(NamedTuple):
    """Equal workers: how many, and what `chaos.worker` is told. `mode` is work, deaf or replay."""

    name: str
    workers: int
    slots: int
    labels: Mapping[str, str] = {}
    queues: tuple[str, ...] = ("default",)
    mode: str = "work"

    def arguments(self) -> list[str]:
        """The command line after `python -m chaos.worker`."""
        labels = [part for key, value in self.labels.items() for part in ("--label", f"{key}={value}")]
        queues = [part for queue in self.queues for part in ("--queue", queue)]
        return ["--mode", self.mode, "--slots", str(self.slots), *labels, *queues]


FLEET = (
    Group("general", 2, 200, {"zone": "a", "memory_gb": "8"}),
    Group("large", 1, 20, {"zone": "b", "memory_gb": "64", "gpu": "1"}),
    Group("spot", 1, 20, {"zone": "c", "memory_gb": "16", "spot": "1"}),
    # Its tasks kill it, so nothing else may be there to die along.
    Group("doomed", 1, 2, {"role": "poison"}, (POISON_QUEUE,)),
)
"""Every selector and queue of every workload has a worker here."""

ODD = (
    Group("deaf", 1, 5, {"zone": "d"}, mode="deaf"),
    Group("replay", 1, 10, {"zone": "e"}, mode="replay"),
)
"""Workers that misbehave; what they do to tasks must be made good by the others."""
