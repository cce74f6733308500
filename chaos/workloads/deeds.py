"""What handlers of the workload `hostile` do to themselves and to the worker around them."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

Payload = Mapping[str, Any]

STAYS = 10.0
"""Seconds that a handler stays where something else is to end it; longer than that takes."""
RESULT_LIMIT = 1024 * 1024
LINES = 2_000
DEPTH = 70
RESISTS = 8.0


class Untellable(Exception):
    """Asked what it says, it ends the program."""

    def __str__(self) -> str:
        raise SystemExit(3)


class Deed(NamedTuple):
    """What a handler does, and the type of the error its task must end with; None where it must succeed."""

    act: Callable[[Payload], Awaitable[Any]]
    error: str | None


def throw(error: BaseException) -> None:
    """Raise it, in a callback."""
    raise error


async def _raises(error: BaseException) -> None:
    await asyncio.sleep(0)
    raise error


async def _exits(_: Payload) -> None:
    raise SystemExit(2)


async def _exits_in_child(_: Payload) -> None:
    await asyncio.gather(_raises(SystemExit(2)), asyncio.sleep(STAYS))


async def _interrupts_in_group(_: Payload) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(STAYS))
        group.create_task(_raises(KeyboardInterrupt()))


async def _exits_in_callback(_: Payload) -> None:
    asyncio.get_running_loop().call_soon(throw, SystemExit(2))
    await asyncio.sleep(STAYS)


async def _exits_when_gone(payload: Payload) -> Payload:
    # By then the attempt has its result, and whoever is blamed must not be a neighbour.
    asyncio.get_running_loop().call_later(0.2, throw, SystemExit(2))
    return payload


async def _stops_loop(payload: Payload) -> Payload:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    return payload


async def _cancels_itself(_: Payload) -> None:
    raise asyncio.CancelledError


async def _resists(_: Payload) -> None:
    until = asyncio.get_running_loop().time() + RESISTS
    while (left := until - asyncio.get_running_loop().time()) > 0:
        try:
            await asyncio.sleep(left)
        except asyncio.CancelledError:
            continue


async def _untellable(_: Payload) -> None:
    raise Untellable


async def _unformattable(_: Payload) -> None:
    error = SyntaxError("bad")
    error.text = 5  # type: ignore[assignment]
    error.filename, error.lineno, error.offset = "f", 1, 1
    raise error


async def _returns_object(_: Payload) -> object:
    return object()


async def _returns_surrogate(_: Payload) -> str:
    return "\ud800"


async def _returns_depth(_: Payload) -> Any:
    deep: Any = 1
    for _level in range(DEPTH):
        deep = [deep]
    return deep


async def _returns_too_much(_: Payload) -> str:
    return "x" * RESULT_LIMIT


async def _counts_far(payload: Payload) -> Payload:
    number = payload["number"]
    if type(number) is not int:
        raise TypeError(f"{number!r} was sent as an integer")
    return {"token": payload["token"], "number": number + 1}


async def _floods(payload: Payload) -> Payload:
    for number in range(LINES):
        print(f"{payload['token']} {number:06} {'x' * 60}", file=sys.stderr if number % 2 else sys.stdout)
    return payload


PREFIX = "chaos.hostile."

DEEDS: Mapping[str, Deed] = {
    PREFIX + name: deed
    for name, deed in {
        "exits": Deed(_exits, "SystemExit"),
        "exits-in-child": Deed(_exits_in_child, "SystemExit"),
        "interrupts-in-group": Deed(_interrupts_in_group, "KeyboardInterrupt"),
        "exits-in-callback": Deed(_exits_in_callback, "SystemExit"),
        "exits-when-gone": Deed(_exits_when_gone, None),
        "stops-loop": Deed(_stops_loop, None),
        "cancels-itself": Deed(_cancels_itself, "CancelledError"),
        "resists": Deed(_resists, "TIMEOUT"),
        "untellable": Deed(_untellable, "Untellable"),
        "unformattable": Deed(_unformattable, "SyntaxError"),
        "returns-object": Deed(_returns_object, "RESULT_NOT_JSON"),
        "returns-surrogate": Deed(_returns_surrogate, "RESULT_NOT_JSON"),
        "returns-depth": Deed(_returns_depth, "RESULT_TOO_DEEP"),
        "returns-too-much": Deed(_returns_too_much, "RESULT_TOO_LARGE"),
        "counts-far": Deed(_counts_far, None),
        "floods": Deed(_floods, None),
    }.items()
}
"""By the type of their tasks."""
