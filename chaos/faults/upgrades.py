"""Everything restarted, part after part, under load; also into the previous version and back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.backends.cluster import CURRENT, PREVIOUS, SERVERS, Capability, Role
from chaos.faults.fault import Blow, Fault, Hit, Scene
from chaos.faults.rolling import roll

FAMILY = "upgrades"


@asynccontextmanager
async def rolls(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """Each part of the target's roles ends in good order and is started again before the next one does."""
    roles = (*SERVERS, Role.WORKER) if blow.target == "everything" else (Role(blow.target),)
    parts = [part.name for role in roles for part in scene.cluster.parts(role)]
    await roll(scene, parts)
    yield Hit(tuple(parts))


@asynccontextmanager
async def changes_version(scene: Scene, _blow: Blow) -> AsyncIterator[Hit]:
    """The servers become those of the release before, one by one, and then again those of this one."""
    parts = [part.name for role in SERVERS for part in scene.cluster.parts(role)]
    try:
        await roll(scene, parts, version=PREVIOUS)
        yield Hit(tuple(parts), "previous version")
    finally:
        await roll(scene, parts, version=CURRENT)


@asynccontextmanager
async def changes_endpoints(scene: Scene, _blow: Blow) -> AsyncIterator[Hit]:
    """The servers are told other addresses of etcd, one by one, and then again the former ones."""
    parts = [part.name for role in SERVERS for part in scene.cluster.parts(role)]
    endpoints = ",".join(part.addresses["endpoint"] for part in scene.cluster.parts(Role.ETCD))
    try:
        await roll(scene, parts, environment={"TASKYARD_ETCD_ENDPOINTS": endpoints})
        yield Hit(tuple(parts), endpoints)
    finally:
        await roll(scene, parts, environment={})


def faults() -> list[Fault]:
    """This family."""
    strains = frozenset({FAMILY})
    return [
        Fault(
            "roll",
            FAMILY,
            "rolling restart",
            ("everything", "scheduler", "dispatcher", "worker"),
            rolls,
            strains=strains,
            recovery=15.0,
        ),
        Fault(
            "change-version",
            FAMILY,
            "rolling change to the previous version and back",
            ("servers",),
            changes_version,
            (2.0, 6.0),
            frozenset({Capability.VERSIONS}),
            strains,
            recovery=15.0,
        ),
        Fault(
            "change-endpoints",
            FAMILY,
            "rolling change of etcd's addresses and back",
            ("servers",),
            changes_endpoints,
            (2.0, 6.0),
            frozenset({Capability.ENVIRONMENT, Capability.ETCD_MEMBERS}),
            strains,
            recovery=15.0,
        ),
    ]
