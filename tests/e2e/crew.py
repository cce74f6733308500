"""Server processes and workers that a test starts, arms and ends by itself, on stores of its own."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx

from taskyard_core.storage.postgres.migration import migrate
from taskyard_server.dev.plan import SERVER, StoreAddresses
from taskyard_server.dev.port import LOOPBACK, free_port
from taskyard_server.dev.probe import is_ready
from taskyard_server.dev.process import Process, ProcessSpec
from tests.e2e.eventually import eventually
from tests.e2e.journal_worker import VARIABLE as JOURNAL
from tests.e2e.own_stores import OwnStores, own_stores
from tests.e2e.records import Records

READY = 20.0
ROOT = Path(__file__).parents[2]
WORKER = (sys.executable, "-m", "taskyard.cli", "worker", "run", "tests.e2e.journal_worker:worker", "--slots", "100")


class Server:
    """The place of one scheduler or dispatcher: its name and addresses outlive its process."""

    def __init__(self, crew: "Crew", role: str, name: str) -> None:
        self._crew = crew
        self._role = role
        self.name = name
        self.http = f"{LOOPBACK}:{free_port()}"
        self.grpc = f"{LOOPBACK}:{free_port()}"

    async def start(self, failpoints: str = "") -> Process:
        """Start a process and wait until it is ready."""
        addresses = (
            {"TASKYARD_REST_ADDRESS": self.http, "TASKYARD_GRPC_ADDRESS": self.grpc}
            if self._role == "scheduler"
            else {"TASKYARD_HTTP_ADDRESS": self.http, "TASKYARD_SESSION_ADDRESS": self.grpc}
        )
        settings = {**addresses, "TASKYARD_POD_NAME": self.name, "TASKYARD_FAILPOINTS": failpoints}
        process = self._crew.run(self.name, (*SERVER, self._role), settings)

        async def ready() -> bool:
            assert process.running, process.failure("ended")
            return await asyncio.to_thread(is_ready, f"http://{self.http}")

        await eventually(ready, within=READY)
        return process


class Crew:
    """All processes of a test, ended with it."""

    def __init__(self, directory: Path, stores: OwnStores, addresses: StoreAddresses | None = None) -> None:
        self._directory = directory
        self._stores = addresses or StoreAddresses(
            stores.postgres.url, stores.redis.url, stores.etcd.url, stores.etcd.user, stores.etcd.password
        )
        self._started: list[Process] = []
        self.records = Records(stores.postgres.url)
        self._journal = directory / "journal"
        self._journal.touch()

    def scheduler(self, name: str) -> Server:
        """A place for a scheduler."""
        return Server(self, "scheduler", name)

    def dispatcher(self, name: str) -> Server:
        """A place for a dispatcher."""
        return Server(self, "dispatcher", name)

    def worker(self, name: str, *dispatchers: Server) -> Process:
        """Start a worker that knows these dispatchers."""
        addresses = ",".join(server.grpc for server in dispatchers)
        return self.run(name, (*WORKER, "--dispatchers", addresses, "--name", name), {JOURNAL: str(self._journal)})

    def log(self, name: str) -> str:
        """What the process of that name has written."""
        return (self._directory / f"{name}.log").read_text()

    def runs(self) -> list[tuple[str, int]]:
        """Every (task, attempt) that a worker began, in order."""
        lines = self._journal.read_text().splitlines()
        return [(task, int(attempt)) for task, attempt in map(str.split, lines)]

    def run(self, name: str, argv: tuple[str, ...], settings: dict[str, str]) -> Process:
        """Start a process."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("TASKYARD_")}
        environment = {**inherited, "PYTHONUNBUFFERED": "1", **self._stores.environment(), **settings}
        log = self._directory / f"{name}.log"
        process = Process(
            ProcessSpec(name=name, role=name, argv=argv, environment=environment, log=log, directory=ROOT)
        )
        process.start()
        self._started.append(process)
        return process

    async def end(self) -> None:
        """End all processes."""
        await asyncio.gather(*(process.stop(grace=5) for process in reversed(self._started)))


async def serves(scheduler: Server, worker: str, dispatcher: Server) -> None:
    """Wait until a worker has its session with the present process of a dispatcher."""
    async with httpx.AsyncClient(base_url=f"http://{scheduler.http}", timeout=10) as rest:

        async def is_served() -> bool:
            alive = {found["id"] for found in (await rest.get("/v1/cluster")).json()["dispatchers"]}
            sessions = (await rest.get("/v1/workers")).json()["workers"]
            hosts = [found["dispatcher"] for found in sessions if found["name"] == worker]
            return any(host in alive and host.startswith(f"{dispatcher.name}-") for host in hosts)

        await eventually(is_served, within=READY)


@asynccontextmanager
async def own_crew(directory: Path) -> AsyncIterator[Crew]:
    """Stores with a schema, and no process yet."""
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(own_stores(directory))
        await asyncio.to_thread(migrate, stores.postgres.url)
        crew = Crew(directory, stores)
        stack.push_async_callback(crew.end)
        yield crew
