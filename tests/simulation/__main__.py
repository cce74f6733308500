"""`python -m tests.simulation --seeds 1..2000`: run schedules; `--trace 17` tells what happened in one."""

import gc
import logging
import os
import sys
import time
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Annotated

import typer

from chaos.history.record import History
from tests.simulation.hunt import hunt
from tests.simulation.mutants import MUTANTS
from tests.simulation.schedule import run


def main(
    seeds: Annotated[str, typer.Option(help="such as 1..2000, or 7,12,90")] = "1..2000",
    trace: Annotated[int | None, typer.Option(help="tell the whole story of one seed")] = None,
    mutant: Annotated[str | None, typer.Option(help="break the server in this way first")] = None,
    mutants: Annotated[bool, typer.Option(help="show after how many schedules each mutant is caught")] = False,
    patience: Annotated[int, typer.Option(help="most schedules for one mutant")] = 2000,
    stop: Annotated[bool, typer.Option(help="end at the first violation")] = False,
) -> None:
    """Run simulated schedules and check their histories."""
    logging.disable(logging.WARNING)
    with MUTANTS[mutant].alive() if mutant else nullcontext():
        if trace is not None:
            _tell(run(trace).history)
            return
        if not mutants:
            raise SystemExit(_run(_seeds(seeds), stop))
    raise SystemExit(_hunt(patience))


def _hunt(patience: int) -> int:
    """Show for each mutant after how many schedules it is caught."""
    free = 0
    for mutant in MUTANTS.values():
        caught = hunt(mutant, patience)
        if caught is None:
            free += 1
            print(f"{mutant.name:32} NOT CAUGHT in {patience} schedules: {mutant.breaks}")
        else:
            print(f"{mutant.name:32} {caught.invariant:20} seed {caught.seed:5}, schedule {caught.count:5}: {mutant.breaks}")
    print(f"{len(MUTANTS) - free} of {len(MUTANTS)} mutants caught")
    return 1 if free else 0


def _run(seeds: Iterable[int], stop: bool) -> int:
    gc.disable()
    gc.freeze()
    began, cpu, count, bad = time.perf_counter(), time.process_time(), 0, 0
    for seed in seeds:
        outcome = run(seed)
        count += 1
        if outcome.violations:
            bad += 1
            print(f"\rseed {seed}: {len(outcome.violations)} violations")
            for violation in outcome.violations[:3]:
                print(f"  {violation}")
            if stop:
                break
        if count % 50 == 0:
            gc.collect()
            rate = count / (time.process_time() - cpu) * 60
            print(f"\r{count} schedules, {bad} with violations, {rate:.0f}/min of processor time", end="", flush=True)
    took = time.perf_counter() - began
    rate = count / (time.process_time() - cpu) * 60
    print(f"\r{count} schedules in {took:.1f} s, {rate:.0f}/min of processor time, {bad} with violations")
    return 1 if bad else 0


def _tell(history: History) -> None:
    events = [
        *((t.at, f"#{t.seq} task {t.task[-4:]} {t.old} -> {t.new} {t}") for t in history.transitions),
        *((s.at, f"#{s.seq} {s}") for s in history.sessions),
        *((r.at, f"#{r.seq} {r}") for r in history.terms),
        *((f.began, f"FAULT {f}") for f in history.faults),
        *((s.returned, str(s)) for s in history.submits),
        *((c.returned, str(c)) for c in history.calls),
        *((r.returned, str(r)) for r in history.reads),
        *((s.at, str(s)) for s in history.started),
        *((e.at, str(e)) for e in history.ended),
    ]
    for at, line in sorted(events, key=lambda event: event[0]):
        print(f"{at:9.4f} {line}")


def _seeds(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, dots, last = part.partition("..")
        found += range(int(first), int(last) + 1) if dots else [int(first)]
    return found


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets of words is part of a schedule.
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
