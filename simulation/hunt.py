"""Looking for a schedule in which a mutant shows."""

from typing import NamedTuple

from simulation.mutants import Mutant
from simulation.schedule import outcomes, run


class Catch(NamedTuple):
    """A mutant that was caught: by which invariant, with which seed."""

    invariant: str
    seed: int


def hunt(mutant: Mutant, patience: int, first: int = 1) -> Catch | None:
    """Run schedules from a first seed on until one shows a violation; None after `patience` of them.

    The same schedule must be clean where nothing is broken: else it would prove nothing.
    """
    tried = first
    while (caught := _catch(mutant, tried, first + patience)) is not None:
        if not run(caught.seed).violations:
            return caught
        tried = caught.seed + 1
    return None


def _catch(mutant: Mutant, first: int, end: int) -> Catch | None:
    with mutant.alive():
        for outcome in outcomes(range(first, end)):
            if outcome.violations:
                return Catch(outcome.violations[0].invariant, outcome.seed)
    return None
