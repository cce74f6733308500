"""Several workloads at once, each with its share of the load."""

import asyncio
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

from chaos.checks.violation import Violation
from chaos.history.record import History
from chaos.workloads.workload import Stage, Workload


class Mix:
    """Runs workloads side by side; weights divide rate and room among them."""

    def __init__(self, name: str, weights: Mapping[Workload, float]) -> None:
        self.name = name
        self._weights = weights
        self._stages: list[tuple[Workload, Stage]] = []

    async def setup(self, stage: Stage) -> None:
        """Divides the stage and sets each of them up."""
        total = sum(self._weights.values())
        self._stages = [(load, _share(stage, weight / total)) for load, weight in self._weights.items()]
        for load, share in self._stages:
            await load.setup(share)

    async def start(self, stage: Stage) -> None:
        """Runs them all, on their shares of the stage, until `stage.stop`."""
        assert stage.stop is self._stages[0][1].stop
        async with asyncio.TaskGroup() as loads:
            for load, share in self._stages:
                loads.create_task(load.start(share))

    def check(self, history: History) -> Iterator[Violation]:
        """What each of them says."""
        for load in self._weights:
            yield from load.check(history)


def _share(stage: Stage, share: float) -> Stage:
    draw = random.Random(stage.draw.getrandbits(64))
    return replace(stage, rate=stage.rate * share, outstanding=max(1, round(stage.outstanding * share)), draw=draw)
