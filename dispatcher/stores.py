"""The three stores as a dispatcher opens them."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from dispatcher.settings import DispatcherSettings
from scheduler.opening import Opening
from scheduler.storage.delivery import Delivery
from scheduler.storage.etcd import Etcd
from scheduler.storage.identity import Identity
from scheduler.storage.store import TaskStore

_DUTY_CONNECTIONS = 4


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
    async def open(cls, settings: DispatcherSettings, application: str) -> AsyncIterator["Stores"]:
        """Open Postgres, Redis and etcd, waiting for no server, and close them in the end."""
        async with AsyncExitStack() as stack:
            opening = Opening(settings, application, stack)
            yield cls(
                tasks=await opening.tasks(),
                duties=await opening.apart("-duties", _DUTY_CONNECTIONS),
                probe=await opening.probe(),
                delivery=opening.delivery(),
                etcd=await opening.etcd(),
                identity=opening.identity,
            )
