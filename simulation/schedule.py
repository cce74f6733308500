"""One schedule from beginning to verdict."""

import asyncio
import gc
import logging
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from chaos.checks import Violation, verdict
from chaos.history.events import Size, digest
from chaos.history.record import Facts, History
from simulation.chance import seeded
from simulation.clients import Clients, Gateway
from simulation.cluster import Cluster
from simulation.faults import Faults, Places
from simulation.loop import Livelock, Stuck, VirtualLoop
from simulation.memory.postgres.server import Change
from simulation.plan import Plan, plan
from simulation.reaped import Reaped
from simulation.recorder import Recorder
from simulation.stores import StoreRoom
from simulation.telemetry import NoTelemetry
from taskyard_core.domain.task import TERMINAL
from taskyard_core.runtime import failpoints

TURNS = 400_000
"""More than any schedule needs."""
RECOVERY = 20.0
"""Seconds after the last fault within which every task that could start must have: a worker that died together with its
dispatcher is given up after about 10 s."""
AUDITED = 55.0
"""The same where part of a lane was lost and nothing tells of it but the audit."""
DRAINED = 240.0
"""Seconds after the last fault within which everything must have ended."""
_LOOK = 0.2
_COLLECTED_TOGETHER = 4

_TELEMETRY = NoTelemetry()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a schedule."""

    seed: int
    violations: tuple[Violation, ...]
    turns_digest: int
    seconds: float
    turns: int
    history: History

    @property
    def digest(self) -> str:
        """Equal for equal runs: who had a turn when, and every change of a row."""
        return digest(repr((self.turns_digest, self.history.transitions, self.history.ended)).encode())


class Complaints(logging.Handler):
    """What the server logs as an error: it must not come to that."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """See Handler."""
        self.heard.append(self.format(record))


def outcomes(seeds: Iterable[int]) -> Iterator[Outcome]:
    """Run one schedule after the other, as fast as it goes."""
    # What was there before is no garbage, and what a schedule leaves goes while the processor still has it at hand.
    gc.disable()
    gc.freeze()
    try:
        for count, seed in enumerate(seeds, 1):
            yield run(seed)
            if count % _COLLECTED_TOGETHER == 0:
                gc.collect()
    finally:
        gc.unfreeze()
        gc.enable()


def run(seed: int) -> Outcome:
    """Run the schedule of a seed."""
    planned = plan(seed)
    random = Random(f"chance {seed}")
    history, complaints = History(), Complaints()
    loop = VirtualLoop(random, TURNS)
    logging.getLogger().addHandler(complaints)
    fate: list[Violation] = []
    reaped = Reaped()
    with loop, seeded(seed, loop):
        try:
            history.facts = loop.run(_play(planned, loop, history, random, reaped))
        except (Livelock, Stuck) as error:
            fate.append(Violation("progress", f"{type(error).__name__}: {error}"))
        finally:
            failpoints.install(None)
            logging.getLogger().removeHandler(complaints)
        fate += [_unforeseen(error) for error in loop.errors]
        fate += [Violation("unforeseen", line) for line in complaints.heard]
    violations = (*fate, *reaped.violations, *verdict(history).violations)
    return Outcome(seed, violations, loop.digest, loop.time(), loop.turns, history)


def _unforeseen(context: dict[str, Any]) -> Violation:
    error = context.get("exception")
    told = traceback.format_exception(error) if isinstance(error, BaseException) else []
    story = tuple("".join(told).splitlines())
    return Violation("unforeseen", f"{context['message']}: {error!r}", story=story)


async def _play(planned: Plan, loop: VirtualLoop, history: History, random: Random, reaped: Reaped) -> Facts:
    record = Recorder(history)

    def observe(change: Change) -> None:
        record(change)
        reaped(change)

    stores = StoreRoom(planned, loop, random, observe)
    cluster = Cluster(planned, loop, stores=stores, history=history, telemetry=_TELEMETRY, random=random)
    reaped.witness = cluster
    places = Places()
    failpoints.install(places)
    faults = Faults(planned, cluster, places, history, random)
    cluster.start()
    faults.schedule()
    gateway = Gateway(loop, random, cluster.network.delay, dict(cluster.schedulers))
    clients = Clients(planned, gateway, history)
    driven = asyncio.ensure_future(clients.run())
    await asyncio.sleep(planned.trouble_ends)
    faults.heal()
    healed = loop.time()
    read = False
    while loop.time() < healed + DRAINED:
        if not gateway.busy and _at_rest(stores, cluster):
            # A message that was still under way may put an entry of an ended task into a lane once more, so look again.
            if read:
                break
            if driven.done():
                driven.result()
                await clients.final_reads()
                read = True
            else:
                clients.look()
        await asyncio.sleep(_LOOK)
    history.sizes += _left_over(stores, cluster)
    audited = any(fault.kind == "delete-lane" for fault in planned.faults)
    return Facts(recovery=AUDITED if audited else RECOVERY, healed_at=healed + 1.0)


def _at_rest(stores: StoreRoom, cluster: Cluster) -> bool:
    busy = any(rows for state, rows in stores.postgres.tables.tasks.by_state.items() if state not in TERMINAL)
    if busy or any(site.hanging for site in stores.sites.values()):
        return False
    return all(not size.after for size in _left_over(stores, cluster))


def _left_over(stores: StoreRoom, cluster: Cluster) -> list[Size]:
    tables, lanes = stores.postgres.tables, stores.redis.streams.lanes.values()
    alive = {worker.session for worker in cluster.workers()}
    left = {
        "tasks that have not ended": sum(
            len(rows) for state, rows in tables.tasks.by_state.items() if state not in TERMINAL
        ),
        "outbox rows": len(tables.outbox.rows),
        "lane entries": sum(len(stream.entries) for stream in lanes),
        "pending entries": sum(len(stream.pending) for stream in lanes),
        "live sessions of dead workers": sum(row.live and row.id not in alive for row in tables.sessions.rows.values()),
    }
    return [Size(name, 0, after, 0) for name, after in left.items()]
