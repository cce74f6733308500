"""The workers that the workloads need: groups of equal ones, each run by a program of one language."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import cycle
from typing import NamedTuple

POISON_QUEUE = "poison"


class Language(StrEnum):
    """Whose SDK a worker is written with: chaos/worker.py, or the program of that name in chaos/workers."""

    PYTHON = "python"
    GO = "go"
    TYPESCRIPT = "typescript"


class Group(NamedTuple):
    """Equal workers: how many, in which language, and what they are told. `mode` is work, deaf or replay."""

    name: str
    workers: int
    slots: int
    labels: Mapping[str, str] = {}
    queues: tuple[str, ...] = ("default",)
    mode: str = "work"
    language: Language = Language.PYTHON

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


def mixed(languages: Sequence[Language]) -> tuple[Group, ...]:
    """The fleet with workers of all these languages: each has a general one, and they share the selective ones.

    What handlers of `hostile` do to themselves is Python's own, as is what dies of poison: a general worker and the
    doomed one are always Python's.
    """
    general, *selective, doomed = FLEET
    others = [language for language in languages if language is not Language.PYTHON]
    if not others:
        return FLEET
    hosts = (general._replace(workers=1, language=language) for language in (Language.PYTHON, *others))
    shared = (group._replace(language=language) for group, language in zip(selective, cycle(others)))
    return (*hosts, *shared, doomed)
