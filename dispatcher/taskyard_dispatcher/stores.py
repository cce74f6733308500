"""The three stores as a dispatcher opens them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from taskyard_core.storage.delivery import Delivery
from taskyard_core.storage.etcd import Etcd
from taskyard_core.storage.identity import Identity
from taskyard_core.storage.opening import Opening
from taskyard_core.storage.store import TaskStore
from taskyard_dispatcher.settings import DispatcherSettings


@dataclass(frozen=True, slots=True)
class Stores:
    """What decides, what hints and what tells who is alive. `duties` is `tasks` too, apart from the hot path, and so
    is `probe`, by which Postgres is asked whether it answers."""

    tasks: TaskStore
    duties: TaskStore
    probe: TaskStore
    delivery: Delivery
    etcd: Etcd
    identity: Identity = field(default_factory=Identity)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: DispatcherSettings, dispatcher: str) -> AsyncIterator["Stores"]:
        """Open Postgres, Redis and etcd, waiting for no server, and close them in the end."""
        async with AsyncExitStack() as stack:
            opening = Opening(settings, dispatcher, stack)
            yield cls(
                tasks=await opening.tasks(),
                duties=await opening.apart("-duties", settings.duty_connections),
                probe=await opening.probe(),
                delivery=opening.delivery(),
                etcd=await opening.etcd(),
                identity=opening.identity,
            )
