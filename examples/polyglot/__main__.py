"""`python -m examples.polyglot`: the demo. Ends with 0 for PASS, 1 for FAIL."""

import argparse
import asyncio
import os
import shutil
import sys
import time
from pathlib import Path

from examples.polyglot.chains import HOPS, LANGUAGES, QUEUE, problems, step
from examples.polyglot.fleet import Fleet
from taskyard import Client, Task, TaskFilter, TaskHandle, TaskState, TaskyardError
from taskyard_server.dev.child import ChildCluster
from taskyard_server.dev.process import ProcessError

BELOW = Path(__file__).parents[2] / ".demo"
CLUSTER = ("--schedulers", "1", "--dispatchers", "3", "--workers", "0")
LIMIT_SECONDS = 180.0
LOOK_EVERY_SECONDS = 0.5
ROUNDS = 2
"""How often a worker of each language is killed."""


async def demo(directory: Path, chains: int) -> tuple[list[Task], Fleet]:
    """Starts cluster and workers, runs the chains while workers are killed, and returns every task."""
    async with ChildCluster(directory, *CLUSTER) as cluster:
        sessions = [process.addresses["session"] for process in cluster.processes() if process.role == "dispatcher"]
        async with Fleet(directory, ",".join(sessions), cluster.grpc) as fleet, Client(cluster.grpc) as client:
            killing = asyncio.create_task(_kill(fleet, client))
            outcomes = await client.submit_many([step(chain, []) for chain in range(chains)])
            refused = [outcome for outcome in outcomes if not isinstance(outcome, TaskHandle)]
            if refused:
                raise refused[0]
            try:
                async with asyncio.timeout(LIMIT_SECONDS):
                    await _ended(client, fleet, chains)
            except TimeoutError:
                print(f"giving up after {LIMIT_SECONDS:g} s", flush=True)
            killing.cancel()
            await asyncio.wait([killing])
            return [task async for task in client.list(TaskFilter(queue=QUEUE), page_size=1000)], fleet


async def _kill(fleet: Fleet, client: Client) -> None:
    for _ in range(ROUNDS):
        for language in LANGUAGES:
            await fleet.kill(language, client)
            print(f"killed a worker in {language} that held tasks", flush=True)


async def _ended(client: Client, fleet: Fleet, chains: int) -> None:
    done = 0
    while done < chains * HOPS:
        if failure := fleet.failure():
            print(failure, flush=True)
        tasks = client.list(TaskFilter(queue=QUEUE, state=TaskState.SUCCEEDED), page_size=1000)
        done = len([task.id async for task in tasks])
        print(f"{done:,} of {chains * HOPS:,} hops done", flush=True)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="polyglot", description="Hand tasks on between Python, Go and TypeScript.")
    parser.add_argument("--chains", type=int, default=300, metavar="N", help=f"each has {HOPS} hops (default 300)")
    parser.add_argument("--keep", action="store_true", help="keep data and logs also when it passes")
    asked = parser.parse_args()
    directory = BELOW / f"polyglot-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    began = time.monotonic()
    try:
        tasks, fleet = asyncio.run(demo(directory, asked.chains))
    except (ProcessError, TaskyardError, OSError) as error:
        print(f"{type(error).__name__}: {error}\nFAIL; logs are in {directory / 'logs'}", file=sys.stderr)
        return 1
    found = [*problems(asked.chains, tasks), *fleet.spared()]
    killed = ", ".join(f"{times} in {language}" for language, times in fleet.killed.items())
    seconds = time.monotonic() - began
    print(f"{len(tasks):,} tasks in {asked.chains:,} chains, workers killed: {killed}; {seconds:.0f} s")
    print("\n".join(["FAIL", *found]) if found else "PASS")
    if found or asked.keep:
        print(f"data and logs are in {directory}")
    else:
        shutil.rmtree(directory)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
