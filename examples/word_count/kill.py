"""Killing parts of the cluster while it works."""

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from taskyard import Client, WorkerInfo

LOOK_EVERY_SECONDS = 0.02
SETTLE_SECONDS = 0.1


@dataclass(frozen=True)
class WorkerKill:
    """A worker that was killed, by the session it had, and how many tasks it held."""

    name: str
    pid: int
    session_id: str
    held: int


@dataclass(frozen=True)
class LeaderKill:
    """A leader that was killed, its successor, and the seconds in between."""

    pod: str
    pid: int
    term: int
    next_pod: str
    next_term: int
    seconds: float


async def kill_worker(client: Client, over: Callable[[], bool]) -> WorkerKill | None:
    """kill -9 for a worker that surely holds tasks; None if all work is `over` before one does.

    Counting a file's words takes a millisecond, so by the time a worker is known to hold tasks it may hold none. It
    is therefore stopped first, which nobody can tell from a busy worker, asked about, and killed only if it holds any.
    """
    while not over():
        victim = max(await client.workers(), key=lambda worker: worker.running, default=None)
        if victim is None or not victim.running:
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            continue
        os.kill(victim.pid, signal.SIGSTOP)
        held = await _held(client, victim)
        if held:
            os.kill(victim.pid, signal.SIGKILL)
            return WorkerKill(victim.name, victim.pid, victim.session_id, held)
        os.kill(victim.pid, signal.SIGCONT)
    return None


async def _held(client: Client, stopped: WorkerInfo) -> int:
    # Results that it had sent already are still being recorded.
    await asyncio.sleep(SETTLE_SECONDS)
    return next((worker.running for worker in await client.workers() if worker.session_id == stopped.session_id), 0)


async def kill_leader(rest: str) -> LeaderKill:
    """kill -9 for the dispatcher that leads, then wait for the next leader."""
    leader = await _next_leader(rest, after_term=0)
    os.kill(leader["pid"], signal.SIGKILL)
    began = time.monotonic()
    successor = await _next_leader(rest, after_term=leader["term"])
    return LeaderKill(
        pod=leader["pod"],
        pid=leader["pid"],
        term=leader["term"],
        next_pod=successor["pod"],
        next_term=successor["term"],
        seconds=time.monotonic() - began,
    )


async def _next_leader(rest: str, *, after_term: int) -> dict[str, Any]:
    while True:
        leader: dict[str, Any] | None = (await asyncio.to_thread(_cluster, rest))["leader"]
        if leader is not None and leader["term"] > after_term:
            return leader
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def _cluster(rest: str) -> dict[str, Any]:
    with urllib.request.urlopen(f"{rest}/v1/cluster", timeout=10) as answer:
        document: dict[str, Any] = json.load(answer)
    return document
