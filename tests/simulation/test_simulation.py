"""Simulated schedules: fresh ones, all that ever failed, and mutants that must be caught."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import simulation
from simulation.mutants import MUTANTS

SCHEDULES = int(os.environ.get("TASKYARD_SIMULATION_SCHEDULES", "2000"))
"""Fresh ones of one test run."""
_CHUNKS = 10
_HERE = Path(simulation.__file__).parent
_PATIENCE = 1000
"""Schedules within which each mutant must be caught, from the seed on that mutants/seeds.txt has for it.

That is where it last showed, so the search is short, and remains possible when a change of the server or of the plan
gives seeds another meaning. It counts only if the same schedule is clean without the mutant.
"""


def simulate(*arguments: str, hash_seed: str = "0") -> str:
    """What the command says; fails with it if anything was violated. A process of its own, since it patches time."""
    command = [sys.executable, "-m", "simulation", *arguments]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-20_000:]}\n{done.stderr[-5_000:]}"
    return done.stdout


@pytest.mark.parametrize("chunk", range(_CHUNKS))
def test_fresh_schedules_violate_nothing(chunk: int) -> None:
    first = random.SystemRandom().randrange(10**9)
    simulate("--seeds", f"{first}..{first + SCHEDULES // _CHUNKS - 1}")


def test_what_once_failed_violates_nothing_any_more() -> None:
    seeds = [words[0] for words in _words("seeds.txt")]
    assert seeds
    simulate("--seeds", ",".join(seeds))


def test_a_seed_gives_the_same_schedule_in_every_process() -> None:
    first = simulate("--seeds", "1..60", "--digests", hash_seed="1")
    second = simulate("--seeds", "1..60", "--digests", hash_seed="2")
    assert _digests(first) == _digests(second)
    # Whatever ran before leaves no trace.
    assert _digests(simulate("--seeds", "60", "--digests"))["60"] == _digests(first)["60"]
    assert len(set(_digests(first).values())) == 60


def _digests(said: str) -> dict[str, str]:
    lines = (line.split() for line in said.splitlines())
    return {words[0]: words[1] for words in lines if len(words) == 2 and words[0].isdigit()}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_is_caught(name: str) -> None:
    first = dict(_words("mutants/seeds.txt"))[name]
    simulate("--hunt", name, "--first", first, "--patience", str(_PATIENCE))


def _words(name: str) -> list[list[str]]:
    lines = (_HERE / name).read_text().splitlines()
    return [line.split() for line in lines if line and not line.startswith("#")]
