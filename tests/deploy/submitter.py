"""A client in a pod of its own: submits steadily by every way there is until SIGTERM, and prints what came of each.

It runs on what the worker's image has: Python and the SDK.
"""

import asyncio
import itertools
import json
import os
import signal
import time
import urllib.request
from collections.abc import Awaitable, Callable
from typing import Any

from taskyard import Client, TaskyardError

Submit = Callable[[str, Any], Awaitable[str]]

PACE = 0.05
"""Seconds between two submits by the same way."""
AT_ONCE = 20
"""Most submits by one way that wait for their answer: a slow machine must not be buried."""
QUEUE = os.environ["QUEUE"]


def task(number: int) -> tuple[str, Any]:
    """Mostly words to say back; now and then something that takes its time."""
    if number % 60 == 0:
        return "demo.sleep", {"seconds": 4}
    return ("demo.sleep", {"seconds": 0.5}) if number % 10 == 0 else ("demo.echo", "a word")


def by(client: Client) -> Submit:
    """With the SDK; without keys, so nothing is tried again whose outcome is not known."""

    async def submit(type_: str, payload: Any) -> str:
        return (await client.submit(type_, payload, queue=QUEUE)).id

    return submit


async def by_rest(type_: str, payload: Any) -> str:
    """Over a connection of its own, tried once."""

    def post() -> str:
        body = json.dumps({"queue": QUEUE, "type": type_, "payload": payload}).encode()
        request = urllib.request.Request(os.environ["REST_URL"] + "/v1/tasks", data=body)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return str(json.load(answer)["id"])

    return await asyncio.to_thread(post)


async def note(way: str, submit: Submit, number: int) -> None:
    """Submit one task and print what came of it, and how long that took."""
    began = time.monotonic()
    outcome: dict[str, Any] = {"way": way}
    try:
        outcome["id"] = await submit(*task(number))
    except (TaskyardError, OSError) as error:
        outcome["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps({**outcome, "seconds": round(time.monotonic() - began, 3)}), flush=True)


async def steadily(way: str, submit: Submit, stop: asyncio.Event) -> None:
    """Submit one task after another, without waiting for the one before."""
    places = asyncio.Semaphore(AT_ONCE)

    async def once(number: int) -> None:
        async with places:
            await note(way, submit, number)

    async with asyncio.TaskGroup() as group:
        for number in itertools.count(1):
            group.create_task(once(number))
            await asyncio.sleep(PACE)
            async with places:
                if stop.is_set():
                    return


async def main() -> None:
    """All ways side by side."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with (
        Client(os.environ["EVERY_POD"]) as every_pod,
        Client(os.environ["ONE_ADDRESS"]) as one_address,
        asyncio.TaskGroup() as group,
    ):
        ways = {"every pod": by(every_pod), "one address": by(one_address), "rest": by_rest}
        for way, submit in ways.items():
            group.create_task(steadily(way, submit, stop))


if __name__ == "__main__":
    asyncio.run(main())
