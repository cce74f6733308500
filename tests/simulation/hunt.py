"""Looking for a schedule in which a mutant shows."""

from typing import NamedTuple

from tests.simulation.mutants import Mutant
from tests.simulation.schedule import outcomes


class Catch(NamedTuple):
    """A mutant that was caught: by which invariant, with which seed, in which schedule of the hunt."""

    invariant: str
    seed: int
    schedules: int


def hunt(mutant: Mutant, patience: int, first: int = 1) -> Catch | None:
    """Run schedules from a first seed on until one shows a violation; None after `patience` of them."""
    with mutant.alive():
        for count, outcome in enumerate(outcomes(range(first, first + patience)), 1):
            if outcome.violations:
                return Catch(outcome.violations[0].invariant, outcome.seed, count)
    return None
