"""What chaos workers do with a task, as its payload says; the one handler for all workloads."""

import asyncio
import os
import signal
from collections.abc import Mapping
from typing import Any

import orjson

from chaos.history.events import digest, encoded
from chaos.workloads.deeds import DEEDS
from taskyard.worker import Context, NonRetryable

TYPES = (
    "chaos.plain",
    "chaos.slow",
    "chaos.priority",
    "chaos.placed",
    "chaos.large",
    "chaos.flaky",
    "chaos.hopeless",
    "chaos.failing",
    "chaos.shaky",
    "chaos.poison",
    "chaos.keyed",
    "chaos.delayed",
    "chaos.cancelled",
    "chaos.redriven",
    "chaos.row",
    *DEEDS,
)
"""Every task type of every workload."""

EASY = ("chaos.plain", "chaos.priority", "chaos.keyed", "chaos.delayed", "chaos.cancelled")
"""Those that may succeed at once, whatever the payload says."""


class Unlucky(Exception):
    """It was told to fail, and may succeed next time."""


class Hopeless(NonRetryable):
    """It was told to fail for good."""


async def perform(context: Context, payload: Mapping[str, Any]) -> Any:
    """Takes the time, dies, fails or succeeds; or does the deed that is its type.

    `seconds` it takes, `kills` of its workers it survives, `failures` it has before it succeeds; it fails for good if
    it is `hopeless`, or before attempt `hopeless_before`. What it returns has `returns` bytes.
    """
    if context.type in DEEDS:
        return await DEEDS[context.type].act(payload)
    if context.crashes < payload.get("kills", 0):
        os.kill(os.getpid(), signal.SIGKILL)
        os._exit(128 + signal.SIGKILL)  # process 1 of a container survives its own signal
    if seconds := payload.get("seconds"):
        await asyncio.sleep(seconds)
    if payload.get("hopeless") or context.attempt < payload.get("hopeless_before", 0):
        raise Hopeless(f"attempt {context.attempt}")
    if context.failures < payload.get("failures", 0):
        raise Unlucky(f"after {context.failures} failures")
    return result(payload, context.attempt)


def result(payload: Mapping[str, Any], attempt: int) -> Mapping[str, Any]:
    """What an attempt returns: unlike what any other attempt does."""
    returned = {"token": payload["token"], "attempt": attempt, "echo": payload["bulk"] if payload.get("echo") else ""}
    if size := payload.get("returns"):
        returned["echo"] = "x" * (size - len(orjson.dumps(returned)))
    return returned


def digest_of(returned: Mapping[str, Any]) -> str:
    """The digest of a result as the SDK sends it."""
    return digest(encoded(returned))
