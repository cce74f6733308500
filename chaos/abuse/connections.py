"""Connections that say nothing, stop half-way, or never stop, on every port that speaks HTTP."""

import asyncio
import contextlib
import random

from chaos.abuse.target import Target, again_and_again

SILENT = 1_000
"""Connections to each port; descriptors of this process are few."""
HEADERS = 32 * 1024 * 1024
BEGINNINGS = (
    b"",
    b"GET /livez HT",
    b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{",
    b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n",
)


async def silent(target: Target) -> None:
    """Thousands of them, held for as long as the server lets them."""

    async def act(target: Target) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for address in target.http:
                for number in range(SILENT):
                    with contextlib.suppress(OSError):
                        await _open(stack, address, BEGINNINGS[number % len(BEGINNINGS)])
            await asyncio.sleep(min(60.0, max(0.0, target.left)))

    await again_and_again(target, 5.0, act)


async def headers(target: Target) -> None:
    """A request whose headers do not end."""

    async def act(target: Target) -> None:
        host, port = _split(random.choice(list(target.http)))
        _, writer = await asyncio.open_connection(host, port)
        try:
            writer.write(b"GET / HTTP/1.1\r\n")
            for number in range(HEADERS // 1024):
                writer.write(b"X-%d: %s\r\n" % (number, b"y" * 1000))
                await writer.drain()
        finally:
            writer.close()

    await again_and_again(target, 2.0, act)


async def _open(stack: contextlib.AsyncExitStack, address: str, beginning: bytes) -> None:
    host, port = _split(address)
    _, writer = await asyncio.open_connection(host, port)
    stack.callback(writer.close)
    writer.write(beginning)


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
