"""`python -m bench`: run the benchmarks, print a table, write JSON."""

import argparse
import asyncio
import json
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from bench import latency, machine
from bench.figure import Figure, combine, table
from bench.stage import Stage, stage
from bench.throughput import Throughput
from taskyard_server.dev.plan import DEMO_WORKER
from taskyard_server.dev.process import ProcessError

BELOW = Path(__file__).parents[1] / ".bench"


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="bench", description="Measure a cluster of this machine's own.")
    parser.add_argument("what", nargs="?", choices=("all", "throughput", "latency"), default="all")
    parser.add_argument("--tasks", type=int, default=100_000, help="for each throughput figure (default %(default)s)")
    parser.add_argument("--callers", type=int, default=100, help="single submits at a time (default %(default)s)")
    parser.add_argument("--slots", type=int, default=1000, help="of the one worker (default %(default)s)")
    parser.add_argument(
        "--worker", type=shlex.split, default=DEMO_WORKER, help="command that runs it (default Python's)"
    )
    parser.add_argument("--dispatchers", type=int, default=3, help="processes (default %(default)s)")
    parser.add_argument("--rate", type=float, default=50.0, help="tasks/s for latency (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of latency's load (default %(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="(default %(default)s)")
    parser.add_argument("--json", type=Path, default=BELOW / "figures.json", help="(default %(default)s)")
    return parser.parse_args()


def say(line: str) -> None:
    """Tell how far it is, beside the figures."""
    print(line, file=sys.stderr, flush=True)


async def measure(asked: argparse.Namespace) -> list[Figure]:
    """All repetitions on one cluster."""
    directory = BELOW / f"cluster-{time.strftime('%Y%m%d-%H%M%S')}"
    async with stage(directory, worker=tuple(asked.worker), slots=asked.slots, dispatchers=asked.dispatchers) as ready:
        figures = combine([await repetition(ready, asked, number) for number in range(1, asked.repetitions + 1)])
    # Kept, with its logs, when something went wrong.
    shutil.rmtree(directory)
    return figures


async def repetition(ready: Stage, asked: argparse.Namespace, number: int) -> list[Figure]:
    """The figures of one repetition, each with one value."""
    say(f"repetition {number} of {asked.repetitions}")
    figures: list[Figure] = []
    if asked.what != "throughput":
        figures += await latency.measure(ready, rate=asked.rate, seconds=asked.seconds)
    if asked.what != "latency":
        run = Throughput(ready, repetition=number, tasks=asked.tasks, callers=asked.callers, report=say)
        figures += await run.run()
    return figures


def main() -> int:
    """The exit code."""
    asked = arguments()
    settings = {name: value for name, value in vars(asked).items() if name != "json"}
    document: dict[str, Any] = {"machine": machine.describe(), "settings": settings}
    try:
        figures = asyncio.run(measure(asked))
    except ProcessError as error:
        say(str(error))
        return 1
    document["figures"] = [figure.document() for figure in figures]
    for name, value in {**document["machine"], **settings}.items():
        print(f"{name}: {value}")
    print(f"\n{table(figures)}")
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(json.dumps(document, indent=2) + "\n")
    say(f"written to {asked.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
