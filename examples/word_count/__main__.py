"""`python -m examples.word_count`: the demo. Ends with 0 for PASS, 1 for FAIL."""

import argparse
import asyncio
import itertools
import os
import platform
import shutil
import signal
import sys
import time
from pathlib import Path

from examples.word_count.plan import SSD_WORKER, Plan, count_plainly, make_plan, standard_library
from examples.word_count.progress import make_progress
from examples.word_count.report import Report
from examples.word_count.run import Outcome, Run, added_up
from taskyard import Client, TaskyardError
from taskyard_server.dev.child import ChildCluster
from taskyard_server.dev.process import ProcessError

BELOW = Path(__file__).parents[2] / ".demo"
CLUSTER = ("--schedulers", "1", "--dispatchers", "3", "--workers", "4")
# Few, so that there is a queue from which a killed worker's slots would have been filled.
SLOTS = ("--slots", "8")
LABEL = ("--worker-label", f"{SSD_WORKER.removeprefix('worker-')}:io=ssd")
LIMIT_SECONDS = 180.0


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="word_count", description="Count the standard library's words on a cluster.")
    parser.add_argument("--files", type=int, metavar="N", help="count only the first N files")
    parser.add_argument("--keep", action="store_true", help="keep data and logs also when it passes")
    return parser.parse_args()


async def demo(directory: Path, plan: Plan) -> Report:
    """Starts a cluster, runs the plan, stops the cluster, and counts again plainly."""
    # Ctrl-C cancels by itself; this is for `kill` and for CI systems that end a job.
    this = asyncio.current_task()
    if this is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    print(f"Starting a cluster in {directory} …", flush=True)
    began = time.monotonic()
    async with ChildCluster(directory, *CLUSTER, *SLOTS, *LABEL) as cluster:
        print(f"Ready after {time.monotonic() - began:.1f} s: {cluster.rest}", flush=True)
        outcome = await run(cluster, plan)
    counted = added_up(list(outcome.tasks.values()))
    return Report(plan, outcome, counted, count_plainly(plan.files))


async def run(cluster: ChildCluster, plan: Plan) -> Outcome:
    """What came of the plan within the time limit, complete or not."""
    async with Client(cluster.grpc) as client:
        with make_progress(len(plan.files)) as progress:
            work = Run(plan, client, cluster.rest, progress)
            try:
                async with asyncio.timeout(LIMIT_SECONDS):
                    await work.run()
            except TimeoutError:
                progress.note(f"giving up after {LIMIT_SECONDS:g} s")
            return work.outcome


def main() -> int:
    """The exit code."""
    asked = arguments()
    plan = make_plan(list(itertools.islice(standard_library(), asked.files)))
    directory = BELOW / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    print(f"Counting the words of {len(plan.files):,} files of Python {platform.python_version()}'s standard library")
    try:
        report = asyncio.run(demo(directory, plan))
    except (KeyboardInterrupt, asyncio.CancelledError):
        shutil.rmtree(directory, ignore_errors=True)
        print("interrupted; everything is stopped", file=sys.stderr)
        return 130
    except (ProcessError, TaskyardError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        print(f"FAIL; logs are in {directory / 'logs'}", file=sys.stderr)
        return 1
    return finish(report, directory, keep=asked.keep)


def finish(report: Report, directory: Path, *, keep: bool) -> int:
    """Prints the report; the data stays when there is something to find out."""
    passed = not report.problems()
    print(f"\n{report.text()}")
    if passed and not keep:
        shutil.rmtree(directory)
    else:
        print(f"data and logs are in {directory}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
