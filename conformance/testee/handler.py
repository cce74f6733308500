"""The kit's handler, which does what its payload says: async, and as a plain function for threads and processes."""

import asyncio
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from conformance.testee.lines import tell
from conformance.testee.made import made
from conformance.testee.notation import KitError, plain
from taskyard import Context, NonRetryable

GATES = Path(os.environ.setdefault("TASKYARD_KIT_GATES", tempfile.mkdtemp(prefix="taskyard-kit-")))
"""An open gate is a file here: handlers in processes of their own see it, too."""
_LOOK = 0.01
"""Seconds between two looks at a gate."""

_waiting: dict[str, list[tuple[asyncio.AbstractEventLoop, asyncio.Event]]] = {}
_opening = threading.Lock()


class KitFatal(NonRetryable):
    """What another attempt cannot help."""


class KitPanic(BaseException):
    """The worst that Python has: what no `except Exception` stops."""


def open_gate(name: str) -> None:
    """Open a gate for good."""
    with _opening:
        (GATES / name).touch()
        for loop, event in _waiting.pop(name, ()):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)


def _gate_event(name: str) -> asyncio.Event:
    event = asyncio.Event()
    with _opening:
        if (GATES / name).exists():
            event.set()
        else:
            _waiting.setdefault(name, []).append((asyncio.get_running_loop(), event))
    return event


async def kit(context: Context, payload: Any) -> Any:
    """The handler on the event loop."""
    began(context, payload)
    try:
        value = await _deed(context, payload)
    except BaseException as error:
        ended(context, "stopped" if isinstance(error, asyncio.CancelledError) else "failed")
        raise
    ended(context, "returned")
    return value


async def _deed(context: Context, payload: Any) -> Any:
    if not isinstance(payload, dict) or "do" not in payload:
        return payload
    waits = _WAITING.get(payload["do"])
    return at_once(payload) if waits is None else await waits(context, payload)


def began(context: Context, payload: Any) -> None:
    """Tell that it runs, and what its context says."""
    tell(
        "started",
        worker="w",
        task=context.task_id,
        attempt=context.attempt,
        type=context.type,
        payload=payload,
        queue=context.queue,
        failures=context.failures,
        crashes=context.crashes,
        created_at=plain(context.created_at),
        deadline=plain(context.deadline),
    )


def stopped(context: Context) -> None:
    """Tell that it learned that it shall stop."""
    cause = context.stop_cause
    tell("stopped", task=context.task_id, attempt=context.attempt, cause=None if cause is None else cause.name)


def ended(context: Context, how: str) -> None:
    """Tell that it is over."""
    tell("ended", task=context.task_id, attempt=context.attempt, how=how)


def at_once(payload: dict[str, Any]) -> Any:
    """Deeds that wait for nothing."""
    match payload["do"]:
        case "return":
            return payload.get("value")
        case "make":
            return made(payload["what"], payload.get("size", 0))
        case "fail":
            message = "é" * payload["size"] if "size" in payload else payload.get("message", "boom")
            raise (KitFatal if payload.get("non_retryable") else KitError)(message)
        case "panic":
            raise KitPanic("boom")
        case "exit":
            sys.exit(3)
        case "burn":
            until = time.monotonic() + payload["seconds"]
            while time.monotonic() < until:
                pass
            return None
        case "log":
            logging.getLogger("kit").info(payload["message"])
            return None
    raise KitError(f"no deed {payload['do']!r}")


def start_child(context: Context) -> None:
    """Start a program that does nothing for an hour."""
    process = subprocess.Popen(["sleep", "3600"])
    tell("child", task=context.task_id, attempt=context.attempt, pid=process.pid)


async def _gate(context: Context, payload: dict[str, Any]) -> Any:
    event = _gate_event(payload["gate"])
    while not event.is_set():
        try:
            await event.wait()
        except asyncio.CancelledError:
            stopped(context)
            match payload.get("on_stop", "stop"):
                case "stop":
                    raise
                case "return":
                    break
                case "fail":
                    raise KitError("boom") from None
    return payload.get("value")


async def _progress(context: Context, payload: dict[str, Any]) -> Any:
    for fraction, message in payload["reports"]:
        context.progress(fraction, message)
    return await _gate(context, payload) if "gate" in payload else payload.get("value")


async def _stray(context: Context, payload: dict[str, Any]) -> Any:
    asyncio.get_running_loop().call_soon(_fail_astray)
    return await _gate(context, payload)


def _fail_astray() -> None:
    raise KitError("boom")


async def _child(context: Context, payload: dict[str, Any]) -> Any:
    start_child(context)
    return await _gate(context, payload)


_WAITING: dict[str, Callable[[Context, dict[str, Any]], Awaitable[Any]]] = {
    "gate": _gate,
    "progress": _progress,
    "stray": _stray,
    "child": _child,
}


def kit_blocking(context: Context, payload: Any) -> Any:
    """The handler as a plain function."""
    began(context, payload)
    try:
        value = _blocking_deed(context, payload)
    except BaseException as error:
        ended(context, "stopped" if isinstance(error, asyncio.CancelledError) else "failed")
        raise
    ended(context, "returned")
    return value


def _blocking_deed(context: Context, payload: Any) -> Any:
    if not isinstance(payload, dict) or "do" not in payload:
        return payload
    match payload["do"]:
        case "gate":
            return _wait_blocking(context, payload)
        case "child":
            start_child(context)
            return _wait_blocking(context, payload)
        case "progress":
            for fraction, message in payload["reports"]:
                context.progress(fraction, message)
            return _wait_blocking(context, payload) if "gate" in payload else payload.get("value")
    return at_once(payload)


def _wait_blocking(context: Context, payload: dict[str, Any]) -> Any:
    told = False
    while not (GATES / payload["gate"]).exists():
        if context.cancelled and not told:
            told = True
            stopped(context)
            match payload.get("on_stop", "stop"):
                case "stop":
                    context.raise_if_cancelled()
                case "return":
                    break
                case "fail":
                    raise KitError("boom")
        time.sleep(_LOOK)
    return payload.get("value")
