"""Reads commands and answers them."""

import asyncio
import gc
import json
import os
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

from conformance.testee import client, worker
from conformance.testee.lines import tell
from conformance.testee.notation import Unsupported, error

FEATURES = [
    "worker", "client", "isolated", "blocking", "child-processes", "exit-caught", "stray-errors", "big-integers",
    "microseconds",     "tracing", "logs", "tls", "signals", "leaks",
]  # fmt: skip


def serve() -> None:
    """Work until stdin ends. The main thread is for workers that handle signals."""
    worker.report_logs()
    clients = asyncio.new_event_loop()
    threading.Thread(target=clients.run_forever, name="clients", daemon=True).start()
    tell("ready", protocol=1, sdk=f"python/{version('taskyard')}", features=FEATURES)
    threading.Thread(target=_read, args=(clients,), name="commands", daemon=True).start()
    while True:
        worker.on_main.get().run()


def _read(clients: asyncio.AbstractEventLoop) -> None:
    for line in sys.stdin.buffer:
        command = json.loads(line)
        number, do = command.pop("id"), command.pop("do")
        if do in client.COMMANDS:
            asyncio.run_coroutine_threadsafe(_begin(number, do, command), clients)
        else:
            threading.Thread(target=_carry_out, args=(number, do, command), daemon=True).start()
    os._exit(0)


def _carry_out(number: int, do: str, command: dict[str, Any]) -> None:
    try:
        if do == "leaks":
            reply = _leaks()
        elif do in worker.COMMANDS:
            reply = worker.COMMANDS[do](command)
        else:
            raise Unsupported(f"no command {do}")
    except Exception as raised:
        tell("reply", id=number, error=error(raised))
    else:
        tell("reply", id=number, ok=reply)


async def _begin(number: int, do: str, command: dict[str, Any]) -> None:
    # On the way before the next command is read, so that it can be aborted.
    task = asyncio.ensure_future(_answer(number, do, command))
    client.under_way[number] = task
    task.add_done_callback(lambda _: client.under_way.pop(number, None))


async def _answer(number: int, do: str, command: dict[str, Any]) -> None:
    try:
        reply = await client.COMMANDS[do](command)
    except asyncio.CancelledError:
        tell("reply", id=number, error={"kind": "Aborted"})
    except Exception as raised:
        tell("reply", id=number, error=error(raised))
    else:
        tell("reply", id=number, ok=reply)


def _leaks() -> dict[str, Any]:
    gc.collect()
    # Commands run in threads of their own, this one included.
    threads = [thread for thread in threading.enumerate() if "_carry_out" not in thread.name]
    return {"counts": {"threads": len(threads), "files": len(list(Path("/proc/self/fd").iterdir()))}}
