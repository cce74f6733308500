"""Looking for a schedule in which a mutant shows."""

from typing import NamedTuple

from tests.simulation.mutants import Mutant
from tests.simulation.schedule import run


class Catch(NamedTuple):
    """A mutant that was caught: by which invariant, with which seed, in which schedule of the hunt."""

    invariant: str
    seed: int
    schedules: int


def hunt(mutant: Mutant, patience: int, first: int = 1) -> Catch | None:
    """Run schedules from a first seed on until one shows a violation; None after `patience` of them."""
    with mutant.alive():
        for count in range(1, patience + 1):
            seed = first + count - 1
            violations = run(seed).violations
            if violations:
                return Catch(violations[0].invariant, seed, count)
    return None
