"""The event loop of a worker, which outlives what its handlers leave on it.

asyncio takes SystemExit and KeyboardInterrupt from any task or callback for the end of the program and lets them
through to whoever runs the loop. On a worker's loop they are some handler's, and end its attempt alone.
"""

import asyncio
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from taskyard.worker.attempt import CURRENT, Attempt

CLOSE_TIME = 1.0
"""Seconds that tasks which were left behind get to end once the worker has."""

Escaped = Callable[[BaseException, Attempt | None], None]
"""Told of an exception that came through, and in whose context it was raised, if that can be found out."""


def run_through(
    main: Coroutine[Any, Any, None],
    escaped: Escaped,
    new_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop,
) -> None:
    """Run `main` to its end on an event loop of its own, whatever else on it raises."""
    loop = new_loop()
    asyncio.set_event_loop(loop)
    try:
        task = loop.create_task(main)
        _drive(loop, task, escaped)
        _clear(loop)
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    task.result()


def _drive(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[Any]", escaped: Escaped) -> None:
    task.add_done_callback(lambda _: loop.stop())
    while not task.done():
        # It also comes back when a handler stops it.
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as error:
            escaped(error, culprit(error))


def _clear(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what handlers have left behind. Nothing of it is wanted, so what resists is not waited for."""
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    if left:
        _drive(loop, loop.create_task(_ended(left)), lambda *_: None)
    _drive(loop, loop.create_task(_finalized(loop)), lambda *_: None)


async def _ended(tasks: "set[asyncio.Task[Any]]") -> None:
    await asyncio.wait(tasks, timeout=CLOSE_TIME)


async def _finalized(loop: asyncio.AbstractEventLoop) -> None:
    await asyncio.wait([loop.create_task(loop.shutdown_asyncgens())], timeout=CLOSE_TIME)


def culprit(error: BaseException | None) -> Attempt | None:
    """The attempt in whose context an exception came out of the event loop."""
    for frame, _ in traceback.walk_tb(None if error is None else error.__traceback__):
        handle = frame.f_locals.get("self")
        if isinstance(handle, asyncio.Handle):
            # What runs a callback knows its context; asyncio has no other way to ask.
            return getattr(handle, "_context", {}).get(CURRENT)
    return None


def ending_for() -> BaseException | None:
    """What ends the event loop that runs this callback, if it is being wound up for an exception."""
    return sys.exc_info()[1]
