"""The three stores as a scheduler opens them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from taskyard_core.storage.delivery import Delivery
from taskyard_core.storage.etcd import Etcd
from taskyard_core.storage.identity import Identity
from taskyard_core.storage.opening import Opening
from taskyard_core.storage.store import TaskStore
from taskyard_scheduler.settings import SchedulerSettings


@dataclass(frozen=True, slots=True)
class Stores:
    """What decides, what hints and what tells who is alive.

    `lists` and `probe` are `tasks` too, over connections of their own: whoever lists what he likes takes none from
    those who submit, and whether Postgres answers is asked beside both.
    """

    tasks: TaskStore
    lists: TaskStore
    probe: TaskStore
    delivery: Delivery
    etcd: Etcd
    identity: Identity = field(default_factory=Identity)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: SchedulerSettings) -> AsyncIterator["Stores"]:
        """Open Postgres, Redis and etcd, waiting for no server, and close them in the end."""
        async with AsyncExitStack() as stack:
            opening = Opening(settings, f"taskyard-scheduler-{settings.pod_name}", stack)
            yield cls(
                tasks=await opening.tasks(),
                lists=await opening.apart(
                    "-lists", settings.list_connections, timeout=settings.list_timeout, unhurried=True
                ),
                probe=await opening.probe(),
                delivery=opening.delivery(),
                etcd=await opening.etcd(),
                identity=opening.identity,
            )
