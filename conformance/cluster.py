"""The leg on a real cluster: a testee's worker and client, while dispatchers and the worker are killed."""

import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from conformance.sdks import ROOT, Sdk
from conformance.testee_process import Testee, TesteeError

READY = 120.0
OVER = 60.0
TASKS = 200
_LOOK = 0.1
"""Seconds between two looks at a file."""

Json = dict[str, Any]


@asynccontextmanager
async def _cluster(directory: Path) -> AsyncIterator[Path]:
    """A development cluster with two dispatchers and no workers; yields its cluster.json."""
    ports = ("--rest-port", "0", "--grpc-port", "0", "--session-port", "0", "--dispatchers", "2", "--workers", "0")
    command = (sys.executable, "-m", "taskyard_server", "dev", "--dir", str(directory / "cluster"), *ports)
    with (directory / "cluster.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=log, stderr=log, process_group=0)
    try:
        async with asyncio.timeout(READY):
            while not (directory / "cluster/cluster.json").exists():
                if process.returncode is not None:
                    raise TesteeError((directory / "cluster.log").read_text())
                await asyncio.sleep(_LOOK)
        yield directory / "cluster/cluster.json"
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


def _dispatchers(document: Json) -> dict[int, str]:
    """Session addresses of the dispatchers that run, by pid."""
    return {
        entry["pid"]: entry["addresses"]["session"] for entry in document["processes"] if entry["role"] == "dispatcher"
    }


class _Leg:
    def __init__(self, sdk: Sdk, cluster: Path) -> None:
        self._sdk = sdk
        self._cluster = cluster

    def _document(self) -> Json:
        return json.loads(self._cluster.read_text())  # type: ignore[no-any-return]

    async def testee(self) -> Testee:
        """Another testee."""
        testee = Testee(self._sdk.command, ROOT / self._sdk.directory, {})
        await testee.start()
        return testee

    async def ask(self, testee: Testee, do: str, **fields: Any) -> Json:
        """The reply to a command, which must be no error."""
        number = await testee.command(do, fields)
        async with asyncio.timeout(OVER), testee.changed:
            await testee.changed.wait_for(lambda: number in testee.replies or testee.ended)
        reply = testee.replies.get(number, {"error": "the testee has ended"})
        if "error" in reply:
            raise TesteeError(f"{do}: {reply['error']}")
        return reply["ok"]  # type: ignore[no-any-return]

    async def work(self, testee: Testee) -> None:
        """Let it be a worker of this cluster."""
        addresses = list(_dispatchers(self._document()).values())
        await self.ask(testee, "worker.start", dispatchers=addresses, types=["kit"], slots=50)

    def kill_dispatcher(self) -> None:
        """Kill one as a machine dies."""
        os.kill(next(iter(_dispatchers(self._document()))), signal.SIGKILL)

    async def started(self, testee: Testee) -> None:
        """Wait until the worker runs something."""
        async with asyncio.timeout(OVER), testee.changed:
            await testee.changed.wait_for(lambda: any(event["event"] == "started" for event in testee.events))

    async def run(self) -> list[str]:
        """What went wrong."""
        client, worker = await self.testee(), await self.testee()
        try:
            await self.ask(client, "client.open", address=self._document()["grpc"])
            await self.work(worker)
            tasks = [
                {
                    "type": "kit",
                    "payload": {"do": "gate", "gate": "g", "value": place},
                    "idempotency_key": f"leg-{place}",
                }
                for place in range(TASKS)
            ]
            results = (await self.ask(client, "client.submit_many", tasks=tasks))["results"]
            again = (await self.ask(client, "client.submit_many", tasks=tasks))["results"]
            await self.started(worker)
            self.kill_dispatcher()
            worker.signal(signal.SIGKILL)
            await worker.stop()
            worker = await self.testee()
            await self.work(worker)
            await self.started(worker)
            self.kill_dispatcher()
            await self.ask(worker, "gate.open", gate="g")
            return [*_submits(results, again), *await self._outcomes(client, results)]
        finally:
            await worker.stop()
            await client.stop()

    async def _outcomes(self, client: Testee, results: list[Json]) -> list[str]:
        waits = [self.ask(client, "client.wait", task=one["task"], timeout=f"{OVER}s") for one in results]
        ended = await asyncio.gather(*waits)
        return [
            f"task {place}: {task.get('state')} with {task.get('result')!r}"
            for place, task in enumerate(ended)
            if task.get("state") != "SUCCEEDED" or task.get("result") != place
        ]


def _submits(results: list[Json], again: list[Json]) -> list[str]:
    return [
        f"task {place} was submitted as {first} and {second}"
        for place, (first, second) in enumerate(zip(results, again, strict=True))
        if first.get("task") != second.get("task") or not second.get("deduplicated")
    ]


async def run(sdk: Sdk) -> list[str]:
    """What an SDK does wrong on a cluster whose dispatchers and worker are killed; nothing if all is well."""
    with tempfile.TemporaryDirectory(prefix="taskyard-kit-") as directory:
        async with _cluster(Path(directory)) as cluster:
            return await _Leg(sdk, cluster).run()
