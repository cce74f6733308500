"""`python -m conformance`: hold an SDK to the cases."""

import asyncio
import fnmatch
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Annotated

import typer

from conformance import case as cases
from conformance import cluster, sdks
from conformance.report import Report
from conformance.runner import Runner, Verdict


def main(  # noqa: PLR0917 - options, by name
    sdk: Annotated[str, typer.Option(help="Which SDK of sdks.toml.")] = "python",
    testee: Annotated[str, typer.Option(help="A testee's command, in place of the one that sdks.toml has.")] = "",
    case: Annotated[str, typer.Option(help="Only cases whose name fits: session-*.")] = "*",
    jobs: Annotated[int, typer.Option(help="Cases tried at a time.", min=1)] = 4,
    patience: Annotated[float, typer.Option(help="Times all limits of time, for slow machines.", min=1)] = 1.0,
    broken: Annotated[bool, typer.Option("--broken", help="Prove that each case fails its broken SDKs.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Leave slow cases out.")] = False,
    on_cluster: Annotated[
        bool, typer.Option("--cluster", help="A real cluster with kills, in place of cases.")
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", help="Show what failing testees wrote to stderr.")] = False,
) -> None:
    """Hold an SDK to the cases. The exit code is 1 if it fails one that it is not known to fail."""
    known = sdks.load()
    if sdk not in known:
        raise typer.BadParameter(f"sdks.toml has {', '.join(known)}", param_hint="--sdk")
    chosen_sdk = known[sdk]
    if testee:
        chosen_sdk = chosen_sdk.model_copy(update={"command": shlex.split(testee), "directory": ".", "build": []})
    if not chosen_sdk.command:
        raise typer.BadParameter("it is not in sdks.toml: give its testee's command", param_hint="--testee")
    behaviours, found = cases.load()
    chosen = [one for one in found if fnmatch.fnmatchcase(one.case, case) and not (quick and one.slow)]
    if chosen_sdk.build:
        subprocess.run(chosen_sdk.build, cwd=sdks.ROOT / chosen_sdk.directory, check=True)
    if on_cluster:
        wrong = asyncio.run(cluster.run(chosen_sdk))
        print("\n".join(wrong) or "passed: all tasks ended once, whatever was killed")  # noqa: T201
        sys.exit(bool(wrong))
    report = Report(chosen_sdk, behaviours, proving=broken, verbose=verbose)
    began = time.monotonic()
    asyncio.run(_run(Runner(chosen_sdk, patience=patience), _trials(chosen, broken), jobs, report))
    sys.exit(report.finish(time.monotonic() - began))


def _trials(chosen: Iterable[cases.Case], broken: bool) -> list[tuple[cases.Case, str]]:
    return [(one, name) for one in chosen for name in (one.broken if broken else [""])]


async def _run(runner: Runner, trials: list[tuple[cases.Case, str]], jobs: int, report: Report) -> None:
    places = asyncio.Semaphore(jobs)

    async def one(case: cases.Case, broken: str) -> Verdict:
        async with places:
            return await runner.run(case, broken)

    for trial in asyncio.as_completed([one(*trial) for trial in trials]):
        report.add(await trial)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    app.command()(main)
    app()
