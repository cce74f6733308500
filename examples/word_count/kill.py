"""Killing parts of the cluster while it works."""

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psutil

from examples.word_count.plan import QUEUE
from taskyard import Client, TaskFilter, TaskState, WorkerInfo

LOOK_EVERY_SECONDS = 0.02
SETTLE_SECONDS = 1.0
RUNNING = TaskFilter(queue=QUEUE, state=TaskState.RUNNING)


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
        await _stop(victim.pid)
        held = await _surely_held(client, victim)
        if held:
            os.kill(victim.pid, signal.SIGKILL)
            return WorkerKill(victim.name, victim.pid, victim.session_id, held)
        os.kill(victim.pid, signal.SIGCONT)
    return None


async def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    process = psutil.Process(pid)
    while process.status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110 - nobody tells when
        await asyncio.sleep(LOOK_EVERY_SECONDS)


async def _surely_held(client: Client, stopped: WorkerInfo) -> int:
    """How many tasks the worker holds once none can be one whose result is on its way already.

    That is so when it was given one after it stopped: slots are free for new tasks only as results are recorded. Or,
    when no more tasks come, after a while.
    """
    since = datetime.now(UTC)
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        held = [task async for task in client.list(RUNNING, page_size=1000) if task.worker == stopped.name]
        came = any(task.started_at is not None and task.started_at > since for task in held)
        if came or time.monotonic() > deadline:
            return len(held)
        await asyncio.sleep(LOOK_EVERY_SECONDS)


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
