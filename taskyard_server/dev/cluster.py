"""The supervisor of a development cluster: starts everything, keeps it alive, stops it in order."""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from taskyard_server.dev.etcd import Etcd
from taskyard_server.dev.lock import DirectoryLock
from taskyard_server.dev.member import Member
from taskyard_server.dev.occupant import OccupiedError
from taskyard_server.dev.plan import (
    DEFAULT_COMMANDS,
    ClusterOptions,
    Plan,
    RoleCommands,
    StoreAddresses,
    choose_ports,
    make_plan,
)
from taskyard_server.dev.port import free_port, is_free, reserve
from taskyard_server.dev.postgres import Postgres
from taskyard_server.dev.probe import connected_workers, is_ready
from taskyard_server.dev.process import Process, ProcessError, ProcessSpec, exit_text
from taskyard_server.dev.restart import restart_of
from taskyard_server.dev.roster import NAME as ROSTER
from taskyard_server.dev.roster import roster, shown, write_roster
from taskyard_server.dev.state import make_private
from taskyard_server.dev.store import Store
from taskyard_server.dev.valkey import Valkey

MIGRATE_TIMEOUT_SECONDS = 120.0
LOOK_EVERY_SECONDS = 0.1
STOP_ORDER = (("worker",), ("dispatcher",), ("scheduler",), ("postgres", "redis", "etcd"))


@dataclass(frozen=True)
class _Stores:
    started: tuple[Store, ...]
    addresses: StoreAddresses


def _choose_stores(options: ClusterOptions, environment: Mapping[str, str]) -> _Stores:
    """The stores to start, and where all of them are."""
    logs = options.directory / "logs"
    started: list[Store] = []

    def address(given: str | None, kind: type[Postgres] | type[Valkey]) -> str:
        if given is not None:
            return given
        store = kind(options.directory / kind.role, log=logs / f"{kind.role}.log")
        started.append(store)
        return store.url

    postgres_url, redis_url = address(options.postgres_url, Postgres), address(options.redis_url, Valkey)
    if options.etcd_endpoints is not None:
        user, password = (environment.get(name, "") for name in ("TASKYARD_ETCD_USER", "TASKYARD_ETCD_PASSWORD"))
        addresses = StoreAddresses(postgres_url, redis_url, options.etcd_endpoints, user, password)
    else:
        etcd = Etcd(options.directory / Etcd.role, log=logs / f"{Etcd.role}.log", passwords=True)
        started.append(etcd)
        addresses = StoreAddresses(postgres_url, redis_url, etcd.url, etcd.user, etcd.password)
    return _Stores(tuple(started), addresses)


class Cluster:
    """A whole cluster under `options.directory`.

    `report` receives one line at a time for the user. `ready_timeout` is how many seconds the stores,
    then the servers, then the workers may take to become ready.
    """

    def __init__(
        self,
        options: ClusterOptions,
        *,
        report: Callable[[str], None],
        commands: RoleCommands = DEFAULT_COMMANDS,
        environment: Mapping[str, str] | None = None,
        ready_timeout: float = 120.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._tell = report
        self._commands = commands
        self._environment = os.environ if environment is None else environment
        self._ready_timeout = ready_timeout
        self._clock = clock
        self._members: list[Member] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._plan: Plan | None = None
        self._ready = False
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Runs the cluster until SIGINT, SIGTERM or SIGHUP; a second signal stops it without grace.

        Raises LockedError when another one runs in the directory, PlanError for options that cannot
        be met, ProcessError or OccupiedError when a part does not become ready. Whatever was
        started has ended when this returns or raises.
        """
        make_private(self._options.directory)
        with DirectoryLock(self._options.directory):
            self._take_signals()
            self._forget_roster()
            try:
                await self._until_stopped(self._live())
            finally:
                await self._stop_all()

    def request_stop(self) -> None:
        """Stops the cluster in good order; asked again, at once."""
        if self._stop.is_set():
            for member in self._members:
                member.kill()
            return
        self._stop.set()
        self._report("stopping; press Ctrl-C again to stop at once")

    def _report(self, line: str) -> None:
        with contextlib.suppress(OSError):  # whoever read it went away: the cluster goes on
            self._tell(line)

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # nohup has it ignored.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self.request_stop)

    async def _until_stopped(self, life: Awaitable[None]) -> None:
        living = asyncio.ensure_future(life)
        stopping = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait((living, stopping), return_when=asyncio.FIRST_COMPLETED)
            if living.done():
                living.result()
        finally:
            stopping.cancel()
            await self._cancel(living)

    async def _live(self) -> None:
        """Starts everything, says READY, and then only ends by an error."""
        for asked in (self._options.rest_port, self._options.grpc_port, self._options.session_port):
            reserve(asked)
        stores = _choose_stores(self._options, self._environment)
        ports = choose_ports(self._options, is_free, free_port)
        plan = make_plan(self._options, ports, stores.addresses, self._environment, self._commands)
        self._plan = plan
        await self._start_stores(stores.started)
        await self._migrate(plan.migrate)
        await self._start_roles((*plan.schedulers, *plan.dispatchers, *plan.workers))
        await self._wait_until(self._unready_servers)
        await self._wait_until(self._unready_workers)
        self._announce()
        await asyncio.gather(*self._keepers)

    async def _start_stores(self, stores: Sequence[Store]) -> None:
        await asyncio.gather(*(self._keep(store) for store in stores))
        await asyncio.gather(*(store.wait_ready(self._ready_timeout) for store in stores))

    async def _migrate(self, spec: ProcessSpec) -> None:
        process = Process(spec, clock=self._clock)
        process.start()
        try:
            if await process.wait(MIGRATE_TIMEOUT_SECONDS) != 0:
                raise process.failure(f"ended {exit_text(process.exit_code)}")
        finally:
            await process.stop(grace=5)

    async def _start_roles(self, specs: Sequence[ProcessSpec]) -> None:
        for spec in specs:
            await self._keep(Process(spec, clock=self._clock))

    async def _keep(self, part: Store | Process) -> None:
        role = part.role if isinstance(part, Store) else part.spec.role
        member = Member(
            part, restart=restart_of(role), report=self._report, changed=self._write_roster, clock=self._clock
        )
        self._members.append(member)
        await member.start()
        self._keepers.append(asyncio.create_task(member.run(), name=f"keep {member.name}"))

    async def _wait_until(self, unready: Callable[[], Awaitable[list[Member]]]) -> None:
        deadline = self._clock() + self._ready_timeout
        while missing := await unready():
            if self._clock() > deadline:
                raise missing[0].process.failure(f"was not ready within {self._ready_timeout:g} s")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    async def _unready_servers(self) -> list[Member]:
        address = {"scheduler": "rest", "dispatcher": "http"}
        servers = [member for member in self._members if member.role in address]
        questions = (asyncio.to_thread(is_ready, member.addresses[address[member.role]]) for member in servers)
        answers = await asyncio.gather(*questions)
        return [member for member, ready in zip(servers, answers, strict=True) if not ready]

    async def _unready_workers(self) -> list[Member]:
        workers = [member for member in self._members if member.role == "worker"]
        if self._plan is None or not workers:
            return []
        # By pid too: the API may still list a worker of the same name from before this start.
        listed = await asyncio.to_thread(connected_workers, self._plan.rest)
        return [member for member in workers if not listed & {(member.name, member.pid), (member.name, 0)}]

    def _announce(self) -> None:
        if self._plan is None:
            return
        self._ready = True
        self._write_roster()
        for member in self._members:
            addresses = "  ".join(f"{name}={value}" for name, value in shown(member.addresses).items())
            self._report(f"{member.name:14} pid {member.pid or '-':<8} {addresses}".rstrip())
        where = self._options.directory / ROSTER
        self._report(f"READY rest={self._plan.rest} grpc={self._plan.grpc} cluster={where}")

    def _write_roster(self) -> None:
        if self._ready and self._plan is not None:
            document = roster(self._members, rest=self._plan.rest, grpc=self._plan.grpc)
            write_roster(self._options.directory, document)

    def _forget_roster(self) -> None:
        (self._options.directory / ROSTER).unlink(missing_ok=True)

    async def _cancel(self, task: asyncio.Future[None]) -> None:
        if task.done():
            return
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return
        except (ProcessError, OccupiedError, OSError) as error:
            self._report(f"while stopping: {error}")

    async def _stop_all(self) -> None:
        self._ready = False
        # A cluster that failed by itself is being stopped too: the next signal means at once.
        self._stop.set()
        for keeper in self._keepers:
            await self._cancel(keeper)
        for roles in STOP_ORDER:
            leaving = [member for member in self._members if member.role in roles]
            await asyncio.gather(*(member.stop() for member in leaving))
        self._forget_roster()
