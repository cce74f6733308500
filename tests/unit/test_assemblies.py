"""Nothing that runs or can be closed is forgotten by the order in which a server's parts start and stop."""

import inspect
import time
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import Any

from simulation.memory.etcd import EtcdServer, MemoryAccess
from simulation.memory.link import Direct
from simulation.memory.postgres.server import TaskServer
from simulation.memory.postgres.store import MemoryTaskStore
from simulation.memory.redis import MemoryDelivery, RedisServer
from taskyard_core.runtime.clock import SystemClock
from taskyard_core.runtime.service import Part
from taskyard_core.storage.etcd import Etcd, EtcdSettings
from taskyard_core.telemetry.facade import Telemetry
from taskyard_dispatcher.assembly import Assembly as DispatcherAssembly
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_dispatcher.stores import Stores as DispatcherStores
from taskyard_scheduler.assembly import Assembly as SchedulerAssembly
from taskyard_scheduler.settings import SchedulerSettings
from taskyard_scheduler.stores import Stores as SchedulerStores

DOOR = Part("door")
WITHIN_OTHERS = {"reception.close"}
"""What another part calls: the streams end when nothing comes in any more."""


def stores() -> tuple[MemoryTaskStore, MemoryDelivery, Etcd]:
    delivery = MemoryDelivery(RedisServer(time.monotonic, str))
    etcd = Etcd(EtcdSettings(), access=MemoryAccess(EtcdServer(time.monotonic)))
    return MemoryTaskStore(TaskServer(time.time, lambda _: None), Direct()), delivery, etcd


def called(step: Callable[..., Any] | None) -> Iterator[tuple[int, str]]:
    """The methods that a part's step calls: whose, and which."""
    if isinstance(step, partial):
        for one in (step.func, *step.args):
            yield from called(one)
    elif inspect.ismethod(step):
        yield id(step.__self__), step.__name__


def forgotten(assembly: Any, parts: tuple[Part, ...]) -> set[str]:
    named = {method for part in parts for step in (part.run, part.stop) for method in called(step)}
    later = {name for name, member in vars(type(assembly)).items() if isinstance(member, cached_property)}
    members = later | vars(assembly).keys() - inspect.signature(type(assembly)).parameters.keys()
    return {
        f"{name}.{method}"
        for name in members
        for method in ("run", "close")
        if inspect.iscoroutinefunction(getattr(getattr(assembly, name), method, None))
        and (id(getattr(assembly, name)), method) not in named
    }


async def test_a_dispatcher_starts_and_stops_all_its_parts() -> None:
    tasks, delivery, etcd = stores()
    held = DispatcherStores(tasks, tasks, tasks, delivery, etcd)
    assembly = DispatcherAssembly("d", DispatcherSettings.model_validate({}), held, Telemetry.silent(), SystemClock())
    assert forgotten(assembly, assembly.in_order(DOOR)) == WITHIN_OTHERS
    assert "from_lanes.close" in forgotten(assembly, (DOOR,))


async def test_a_scheduler_starts_and_stops_all_its_parts() -> None:
    tasks, delivery, etcd = stores()
    assembly = SchedulerAssembly(
        SchedulerSettings.model_validate({}), SchedulerStores(tasks, tasks, tasks, delivery, etcd), Telemetry.silent()
    )
    assert forgotten(assembly, assembly.in_order(DOOR)) == set()
    assert "waits.run" in forgotten(assembly, (DOOR,))
