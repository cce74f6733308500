"""The server broken on purpose, in one way each: what a simulation must notice."""

from collections.abc import Mapping

from simulation.mutants import claiming, completion, leadership, publication, sessions
from simulation.mutants.mutant import Mutant

__all__ = ["MUTANTS", "Mutant"]

MUTANTS: Mapping[str, Mutant] = {
    mutant.name: mutant
    for module in (completion, claiming, sessions, publication, leadership)
    for mutant in module.MUTANTS
}
