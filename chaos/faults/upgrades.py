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
    ]
