"""A development cluster as its user has it: a process that prints READY and keeps cluster.json true."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from taskyard import Client
from tests.e2e.eventually import eventually
from tests.e2e.records import Records

Json = dict[str, Any]

READY = 90.0
RECOVERED = 30.0
STORE_BACK = 5.0


class DevCluster:
    """A running cluster, and the means to look at it and to kill its parts by name."""

    def __init__(self, directory: Path, client: Client, rest: httpx.AsyncClient, records: Records) -> None:
        self.directory = directory
        self.client = client
        self.rest = rest
        self.records = records
        self._names = self._entries().keys()

    def pid(self, name: str) -> int:
        """Process id of a part, which must run."""
        return self._entries()[name]["pid"]  # type: ignore[no-any-return]

    def pids(self, role: str) -> dict[str, int]:
        """Process ids of all parts of a role, by name."""
        return {name: entry["pid"] for name, entry in self._entries().items() if entry["role"] == role}

    def addresses(self, name: str) -> dict[str, str]:
        """Where a part listens."""
        return self._entries()[name]["addresses"]  # type: ignore[no-any-return]

    def signal(self, name: str, number: signal.Signals) -> int:
        """Sends a signal to one part; returns its pid."""
        pid = self.pid(name)
        os.kill(pid, number)
        return pid

    async def get(self, path: str) -> Json:
        """The document at a path of the REST API, asked for again while a store is away."""
        answer = await eventually(lambda: self._answer(path), within=STORE_BACK)
        answer.raise_for_status()
        return answer.json()  # type: ignore[no-any-return]

    async def _answer(self, path: str) -> httpx.Response | None:
        answer = await self.rest.get(path)
        return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

    async def leader(self) -> Json | None:
        """Who leads, as GET /v1/cluster names it."""
        found: Json | None = (await self.get("/v1/cluster"))["leader"]
        return found

    async def workers(self) -> dict[str, Json]:
        """Connected workers by name, the newest session of each."""
        found = (await self.get("/v1/workers"))["workers"]
        return {worker["name"]: worker for worker in sorted(found, key=lambda worker: worker["connected_at"])}

    async def dispatcher_names(self) -> dict[str, str]:
        """Names of the dispatchers that are alive, by id."""
        return {found["id"]: found["pod"] for found in (await self.get("/v1/cluster"))["dispatchers"]}

    async def whole(self) -> None:
        """Waits until every part runs, each worker has its session, and somebody leads."""
        await eventually(self._is_whole, within=RECOVERED)

    async def _is_whole(self) -> bool:
        entries = self._entries()
        if entries.keys() != self._names or not all(_lives(entry["pid"]) for entry in entries.values()):
            return False
        cluster = await self.get("/v1/cluster")
        running = set(self.pids("dispatcher").values())
        registered = {found["pid"] for found in cluster["dispatchers"]}
        leads = cluster["leader"] is not None and cluster["leader"]["pid"] in running
        listed = {(worker["name"], worker["pid"]) for worker in (await self.workers()).values()}
        return leads and running == registered and set(self.pids("worker").items()) <= listed

    def _entries(self) -> dict[str, Json]:
        document = json.loads((self.directory / "cluster.json").read_text())
        return {entry["name"]: entry for entry in document["processes"]}


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@asynccontextmanager
async def dev_cluster(
    directory: Path, *options: str, records: str | None = None, environment: dict[str, str] | None = None
) -> AsyncIterator[DevCluster]:
    """Runs `taskyard-server dev` with these options; `records` is the URL of a Postgres of somebody else."""
    async with _supervisor(directory, options, {**os.environ, **(environment or {})}):
        document = json.loads((directory / "cluster.json").read_text())
        own = {entry["name"]: entry["addresses"] for entry in document["processes"]}
        async with (
            Client(document["grpc"]) as client,
            httpx.AsyncClient(base_url=document["rest"], timeout=30) as rest,
        ):
            yield DevCluster(directory, client, rest, Records(records or own["postgres"]["url"]))


@asynccontextmanager
async def _supervisor(directory: Path, options: tuple[str, ...], environment: dict[str, str]) -> AsyncIterator[None]:
    ports = ("--rest-port", "0", "--grpc-port", "0", "--session-port", "0")
    command = (sys.executable, "-m", "taskyard_server", "dev", "--dir", str(directory), *ports, *options)
    said = directory.with_suffix(".out")
    with said.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdout=output, stderr=output, env=environment, process_group=0
        )

    async def is_ready() -> bool:
        assert process.returncode is None, said.read_text()
        return (directory / "cluster.json").exists()

    try:
        await eventually(is_ready, within=READY)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        try:
            await asyncio.wait_for(process.wait(), 60)
        except TimeoutError:
            # Its children die with it.
            process.kill()
            await process.wait()
