"""`python -m simulation --seeds 1..2000`: run schedules; `--trace 17` tells what happened in one."""

import logging
import time
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Sequence
from contextlib import nullcontext

from simulation.hunt import hunt
from simulation.mutants import MUTANTS, Mutant
from simulation.schedule import Outcome, outcomes, run
from simulation.trace import lines

_STORIES = 5
"""Violations of a schedule that are told."""


def main(arguments: Namespace) -> int:
    """Do what was asked for; not 0 if anything was violated, or a mutant got away."""
    logging.disable(logging.WARNING)
    if arguments.mutants:
        return _hunt_all(list(MUTANTS.values()), arguments.patience, arguments.first)
    if arguments.hunt:
        return _hunt_all([MUTANTS[arguments.hunt]], arguments.patience, arguments.first)
    with MUTANTS[arguments.mutant].alive() if arguments.mutant else nullcontext():
        if arguments.trace is not None:
            return _trace(arguments.trace)
        return _run_all(_seeds(arguments.seeds), digests=arguments.digests)


def _run_all(seeds: Sequence[int], *, digests: bool) -> int:
    wall, cpu, bad = time.perf_counter(), time.process_time(), []
    for count, outcome in enumerate(outcomes(seeds), 1):
        if digests:
            print(outcome.seed, outcome.digest)
        if outcome.violations:
            bad.append(outcome.seed)
            _tell(outcome)
        if count % 50 == 0 and not digests:
            _progress(count, len(bad), time.process_time() - cpu, end="")
    _progress(len(seeds), len(bad), time.process_time() - cpu, end=f", {time.perf_counter() - wall:.1f} s\n")
    if bad:
        print(f"violated by seeds {','.join(map(str, bad))}; python -m simulation --trace {bad[0]} tells more")
    return 1 if bad else 0


def _progress(count: int, bad: int, cpu: float, end: str) -> None:
    rate = f"{60 * count / cpu:.0f} a minute of processor time"
    print(f"\r{count} schedules, {bad} with violations, {rate}", end=end, flush=True)


def _tell(outcome: Outcome) -> None:
    print(f"\rseed {outcome.seed}: {len(outcome.violations)} violations" + " " * 40)
    for violation in outcome.violations[:_STORIES]:
        print(f"  {violation}")


def _trace(seed: int) -> int:
    outcome = run(seed)
    print(*lines(outcome.history), sep="\n")
    _tell(outcome)
    return 1 if outcome.violations else 0


def _hunt_all(mutants: Sequence[Mutant], patience: int, first: int) -> int:
    free = 0
    for mutant in mutants:
        caught = hunt(mutant, patience, first)
        free += caught is None
        by = f"{caught.invariant:18} seed {caught.seed:4}" if caught else f"NOT CAUGHT in {patience} schedules"
        print(f"{mutant.name:30} {by}  {mutant.breaks}", flush=True)
    print(f"{len(mutants) - free} of {len(mutants)} mutants caught; the search began with seed {first}")
    return 1 if free else 0


def _seeds(text: str) -> list[int]:
    """Of `1..2000`, `7,12,90`, or both."""
    found: list[int] = []
    for part in text.split(","):
        first, dots, last = part.partition("..")
        found += range(int(first), int(last) + 1) if dots else [int(first)]
    return found


def _parser() -> ArgumentParser:
    parser = ArgumentParser(prog="python -m simulation", description="Run simulated schedules and check them.")
    parser.add_argument("--seeds", default="1..2000", help="such as 1..2000, or 7,12,90")
    parser.add_argument("--digests", action=BooleanOptionalAction, default=False, help="print each schedule's digest")
    parser.add_argument("--trace", type=int, metavar="SEED", help="tell all that happened in one schedule")
    parser.add_argument("--mutant", choices=MUTANTS, help="break the server in this way first")
    parser.add_argument("--mutants", action="store_true", help="tell after how many schedules each mutant is caught")
    parser.add_argument("--hunt", choices=MUTANTS, help="the same for one mutant")
    parser.add_argument("--first", type=int, default=1, help="seed with which the search for mutants begins")
    parser.add_argument("--patience", type=int, default=2000, help="most schedules for one mutant")
    return parser


if __name__ == "__main__":
    raise SystemExit(main(_parser().parse_args()))
