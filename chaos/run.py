"""A whole experiment: load a cluster, break it as planned, heal it, let it come to rest, and judge what was seen."""

import asyncio
import datetime
import re
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from chaos import archive
from chaos.backends.cluster import Cluster, Sizes
from chaos.execution import Execution, heal_everything
from chaos.experiments import Preset, Step, plan
from chaos.faults import Fault, all_faults, possible_faults
from chaos.history import audit, journal
from chaos.history.record import Facts as HistoryFacts
from chaos.history.record import History
from chaos.judgement import HISTORY, Evidence, judge
from chaos.load import Load, spread_clients
from chaos.machine import commit, machine
from chaos.measures.patience import patience_check, peak_checks
from chaos.measures.rest import as_sizes, rest_checks
from chaos.progress import CountingJournal, tell, unfinished
from chaos.result import Facts, RestCheck, Result
from chaos.workloads import Workload
from taskyard import Client

WHOLE_SECONDS = 120.0
WARM_SECONDS = 10.0
LOOK_SECONDS = 0.5
RECOVERY_SECONDS = 15.0
CLOCK_TOLERANCE_SECONDS = 0.05

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is to be done, and with what load.

    `shares` tells what the workload is made of. Without `steps`, they are drawn from the seed as the preset says.
    """

    seed: int
    preset_name: str
    preset: Preset
    backend: str
    out: Path
    workload: Callable[[], Workload]
    shares: Mapping[str, float]
    steps: Sequence[Step] | None = None
    abuses: Mapping[str, Fault] = field(default_factory=dict)
    """Greedy clients that `steps` name; how honest tasks and the servers' memory endure them is judged."""


async def run(experiment: Experiment, cluster: Cluster, say: Say) -> Result:
    """Carries it out on a cluster that is not entered yet; the history and the journals stay in `experiment.out`."""
    say("starting the cluster")
    async with cluster:
        await cluster.wait_whole(WHOLE_SECONDS)
        seen = await _Run(experiment, cluster, say).run()
    say(f"checking {len(seen.history.transitions):,} transitions")
    return judge(seen, experiment.workload)


class _Run:
    def __init__(self, experiment: Experiment, cluster: Cluster, say: Say) -> None:
        self._experiment = experiment
        self._cluster = cluster
        self._say = say
        self._origin = time.time()
        self._history = experiment.out / HISTORY
        self._journal = CountingJournal(self._history / "client.jsonl")
        self._faults = possible_faults(cluster.capabilities)
        self._execution = Execution(cluster, {**all_faults(), **experiment.abuses}, self._journal, say=say)

    async def run(self) -> Evidence:
        await self._with_database(audit.install)
        self._origin = time.time()
        steps = self._experiment.steps or plan(self._experiment.seed, self._experiment.preset, self._faults)
        self._say(f"plan: {len(steps)} faults of {len({step.fault for step in steps})} kinds")
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(c) for c in spread_clients(self._cluster.grpc_addresses)]
            before = await self._warm_up(clients)
            loaded_until = await self._loaded(clients, steps)
            healed_at = await self._heal()
            drained_at = await self._drain()
        after = await self._at_rest(before)
        return await self._collect(before, after, loaded_until, healed_at, drained_at)

    async def _warm_up(self, clients: Sequence[Client]) -> Sizes:
        """Some load first: a process that has done nothing yet is smaller than one at rest."""
        load = self._load(clients, self._experiment.seed + 1)
        await load.start()
        await asyncio.sleep(WARM_SECONDS)
        await load.stop()
        await self._drain()
        return await self._cluster.sizes()

    async def _loaded(self, clients: Sequence[Client], steps: Sequence[Step]) -> float:
        load = self._load(clients, self._experiment.seed)
        await load.start()
        ends = self._now() + self._experiment.preset.seconds
        telling = asyncio.create_task(
            tell(self._cluster, self._journal, self._execution, origin=self._origin, say=self._say)
        )
        try:
            await self._execution.run(steps)
            while self._now() < ends or self._journal.accepted < self._experiment.preset.tasks:
                load.failed()
                await asyncio.sleep(LOOK_SECONDS)
            await load.stop()
        finally:
            telling.cancel()
        return self._now()

    def _load(self, clients: Sequence[Client], seed: int) -> Load:
        return Load(
            clients,
            self._journal,
            self._experiment.workload,
            rate=self._experiment.preset.rate,
            seed=seed,
            database=lambda: self._cluster.postgres_url,
        )

    async def _heal(self) -> float:
        self._say("healing")
        await heal_everything(self._cluster, restart_all=self._execution.half_done)
        try:
            await self._cluster.wait_whole(WHOLE_SECONDS)
        except TimeoutError as error:
            # What was seen until now must not be lost: tasks that this keeps from ending are told by the checks.
            self._say(f"NOT WHOLE: {error}")
        return self._now()

    async def _drain(self) -> float | None:
        """Waits until every task has ended; None if that takes too long."""
        deadline = self._now() + self._experiment.preset.drain
        while self._now() < deadline:
            left = await unfinished(self._cluster)
            if left is not None and left.total == 0:
                self._say(f"drained after {self._now():.0f} s")
                return self._now()
            await asyncio.sleep(LOOK_SECONDS)
        self._say(f"not drained: {await unfinished(self._cluster)}")
        return None

    async def _at_rest(self, before: Sizes) -> Sizes:
        """The sizes once they are as they should be, or when that has taken too long."""
        preset = self._experiment.preset
        deadline = self._now() + preset.patience + (preset.retention if self._forgets else 0)
        while True:
            after = await self._cluster.sizes()
            if all(check.within for check in self._rest(before, after)) or self._now() > deadline:
                return after
            await asyncio.sleep(LOOK_SECONDS)

    async def _collect(
        self, before: Sizes, after: Sizes, loaded_until: float, healed_at: float, drained_at: float | None
    ) -> Evidence:
        rest = self._rest(before, after)
        if self._experiment.abuses:
            rest += peak_checks(await self._cluster.peaks())
        history = History(
            facts=HistoryFacts(
                retention=self._experiment.preset.retention,
                recovery=RECOVERY_SECONDS,
                clock_tolerance=CLOCK_TOLERANCE_SECONDS,
                healed_at=healed_at,
                drained=drained_at is not None,
            ),
            sizes=as_sizes(rest),
        )
        self._say("reading the history")
        self._journal.close()
        shutil.copytree(self._cluster.worker_logs, self._history / "workers")
        journal.load(history, self._history, self._origin)
        await self._with_database(lambda connection: audit.load(history, connection, self._origin))
        faults = self._execution.records(self._origin)
        if self._experiment.abuses:
            rest.append(patience_check(history, (fault for fault in faults if fault.fault in self._experiment.abuses)))
            history.sizes = as_sizes(rest)
        archive.save(history, self._history, self._origin)
        facts = await self._facts(loaded_until, healed_at, drained_at)
        return Evidence(history=history, facts=facts, faults=faults, rest=rest)

    async def _facts(self, loaded_until: float, healed_at: float, drained_at: float | None) -> Facts:
        experiment = self._experiment
        total = sum(experiment.shares.values())
        return Facts(
            seed=experiment.seed,
            minutes=experiment.preset.seconds / 60,
            preset=experiment.preset_name,
            backend=experiment.backend,
            started_at=datetime.datetime.fromtimestamp(self._origin, datetime.UTC).isoformat(),
            loaded_until=loaded_until,
            healed_at=healed_at,
            drained_at=drained_at,
            ended_at=self._now(),
            machine=machine(),
            versions=await self._versions(),
            parts=dict(Counter(str(part.role) for part in self._cluster.parts())),
            workloads={name: weight / total for name, weight in experiment.shares.items()},
        )

    async def _versions(self) -> dict[str, str]:
        [postgres] = await self._cluster.postgres_execute("SHOW server_version")
        redis = str(await self._cluster.redis_command("INFO", "server"))
        found = {"taskyard": commit(), "postgres": str(postgres["server_version"])}
        for name in ("valkey_version", "redis_version"):
            if match := re.search(rf"{name}:([\d.]+)", redis):
                return {**found, name.removesuffix("_version"): match[1]}
        return found

    @property
    def _forgets(self) -> bool:
        """Whether tasks that ended are deleted soon enough to wait for it."""
        return self._experiment.preset.retention < 3600

    def _rest(self, before: Sizes, after: Sizes) -> list[RestCheck]:
        return rest_checks(before, after, forgets=self._forgets)

    def _now(self) -> float:
        return time.time() - self._origin

    async def _with_database(self, use: Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[None]]) -> None:
        connection = await asyncpg.connect(self._cluster.postgres_url)
        try:
            await use(connection)
        finally:
            await connection.close()
