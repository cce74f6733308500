"""`python -m bench.telemetry`: print what telemetry costs per task."""

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider

from taskyard_core.domain.task import TaskSpec, TaskState
from taskyard_core.domain.transitions import Change, Runner, Transition, succeeded
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.telemetry.identity import Identity
from taskyard_core.telemetry.journal import Journal
from taskyard_core.telemetry.lag import LagProbe
from taskyard_core.telemetry.metrics import Metrics
from taskyard_core.telemetry.records import Claim
from taskyard_core.telemetry.styles import JsonStyle
from taskyard_core.telemetry.traces import Traces

BATCH = 200
UNSAMPLED = f"00-{'a' * 32}-{'b' * 16}-00"
RUNNERS = [Runner(str(uuid.uuid4()), f"worker-{number}", "pod") for number in range(8)]
IDS = [str(uuid.uuid4()) for _ in range(BATCH)]
LANES = [f"default/q{number % 5}/demo.t{number % 7}/5/io=ssd" for number in range(BATCH)]
SPECS = [TaskSpec("demo.echo", b"{}", queue=f"q{number % 5}") for number in range(BATCH)]


def claims() -> list[Claim]:
    """A batch of tasks that were claimed."""
    return [Claim(IDS[n], 1, LANES[n], RUNNERS[n % 8], 0.004 * n, UNSAMPLED) for n in range(BATCH)]


def ends() -> list[Change]:
    """A batch of attempts that succeeded."""

    def success(n: int) -> Transition:
        return succeeded(IDS[n], 1, None, b"1", runner=RUNNERS[n % 8], ran=0.01)

    return [Change(success(n), TaskState.RUNNING, TaskState.SUCCEEDED, LANES[n], UNSAMPLED) for n in range(BATCH)]


def microseconds(work: Callable[[], object], rounds: int = 40) -> float:
    """Per task, the best of five runs."""
    best = float("inf")
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(rounds):
            work()
        best = min(best, time.perf_counter() - began)
    return best / rounds / BATCH * 1e6


def main() -> None:
    """Measure, and print a table."""
    identity = Identity("dispatcher", "pod-1", "d-1")
    with Path(os.devnull).open("w") as stream:
        metrics = Metrics(identity, {})
        logging = Journal(identity, JsonStyle(), stream, metrics.ledger)
        variants = {
            "counting": Telemetry.silent(),
            "and logging": Telemetry(metrics, Traces(None), logging, LagProbe()),
            "and tracing, none sampled": Telemetry(
                metrics, Traces(TracerProvider(shutdown_on_exit=False)), logging, LagProbe()
            ),
        }
        claimed, ended = claims(), ends()
        print(f"\n{'us per task, batches of ' + str(BATCH):<28} submitted  claimed    ended")
        for name, telemetry in variants.items():
            figures = [
                microseconds(lambda t=telemetry: t.submitted(IDS, SPECS)),  # type: ignore[misc]
                microseconds(lambda t=telemetry: t.claimed(claimed)),  # type: ignore[misc]
                microseconds(lambda t=telemetry: t.changed(ended)),  # type: ignore[misc]
            ]
            print(f"{name:<28}" + "".join(f"{figure:>10.2f}" for figure in figures))
        print(f"{'building the Claim tuples':<28}{microseconds(claims):>20.2f}")
        began = time.perf_counter()
        body, _ = metrics.exposition()
        print(f"a scrape of {len(body)} bytes: {(time.perf_counter() - began) * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
