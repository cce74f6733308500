"""Disks that are full, descriptors that are used up, clocks that are wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chaos.backends.cluster import SERVERS, Capability
from chaos.faults.fault import Blow, Fault, Hit, Scene, picked

FAMILY = "resources"
HOUR = 3600.0
JUMPS = (-24 * HOUR, -HOUR, -60.0, 60.0, HOUR, 24 * HOUR)


@asynccontextmanager
async def fills_disk(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """Nothing more can be written where a store keeps its data."""
    part = await scene.aimed(blow.target, blow.draw)
    await scene.cluster.fill_disk(part)
    try:
        yield Hit((part,))
    finally:
        await scene.cluster.relieve(part)


@asynccontextmanager
async def exhausts(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """A part can open no file and no connection."""
    part = await scene.aimed(blow.target, blow.draw)
    await scene.cluster.exhaust_descriptors(part)
    try:
        yield Hit((part,))
    finally:
        await scene.cluster.relieve(part)


@asynccontextmanager
async def jumps(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """A part's wall clock is wrong; its monotonic one is not."""
    part = await scene.aimed(blow.target, blow.draw)
    seconds = picked(JUMPS, blow.draw)
    await scene.cluster.jump_clock(part, seconds)
    try:
        yield Hit((part,), f"{seconds:+.0f} s")
    finally:
        await scene.cluster.relieve(part)


def faults() -> list[Fault]:
    """This family."""
    return [
        Fault(
            "fill-disk",
            FAMILY,
            "no space left on the primary's disk",
            ("postgres-leader",),
            fills_disk,
            (2.0, 8.0),
            frozenset({Capability.DISK}),
            frozenset({"postgres", FAMILY}),
            recovery=15.0,
        ),
        Fault(
            "exhaust-descriptors",
            FAMILY,
            "no descriptor left",
            (*SERVERS, "leader"),
            exhausts,
            (2.0, 15.0),
            frozenset({Capability.DESCRIPTORS}),
            frozenset({FAMILY}),
            recovery=15.0,
        ),
        Fault(
            "jump-clock",
            FAMILY,
            "the wall clock jumps by a minute, an hour or a day",
            (*SERVERS, "worker"),
            jumps,
            (2.0, 20.0),
            frozenset({Capability.CLOCK}),
            frozenset({FAMILY}),
            recovery=15.0,
        ),
    ]
