"""Which processes a development cluster is made of: pure, from options to what is to be run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from taskyard_server import apart
from taskyard_server.dev.port import LOOPBACK
from taskyard_server.dev.process import ProcessSpec

ANY_PORT = 0
SERVER = (*apart.PYTHON, "-m", "taskyard_server")
DEMO_WORKER = (*apart.PYTHON, "-m", "taskyard.cli", "worker", "run", "taskyard.demo:worker")

# Set by the plan for the roles it concerns, and so never inherited from the user's own shell.
PLANNED_VARIABLES = frozenset(
    {
        "TASKYARD_DEV_POSTGRES_URL",
        "TASKYARD_DEV_REDIS_URL",
        "TASKYARD_POSTGRES_URL",
        "TASKYARD_REDIS_URL",
        "TASKYARD_ETCD_ENDPOINTS",
        "TASKYARD_ETCD_USER",
        "TASKYARD_ETCD_PASSWORD",
        "TASKYARD_REST_ADDRESS",
        "TASKYARD_GRPC_ADDRESS",
        "TASKYARD_SESSION_ADDRESS",
        "TASKYARD_HTTP_ADDRESS",
        "TASKYARD_POD_NAME",
        "TASKYARD_DISPATCHERS",
        "TASKYARD_WORKER_NAME",
        "TASKYARD_WORKER_LABELS",
        "TASKYARD_WORKER_SLOTS",
    }
)


class PlanError(ValueError):
    """The options ask for something that cannot be; the text names the option."""


@dataclass(frozen=True, kw_only=True)
class ClusterOptions:
    """What the user asked for. Ports are those of the first replica, 0 for any free one.

    A store with an address is somebody else's: it is used, not started. `worker_labels` are by
    worker number, from 1. `slots` is how many tasks one worker runs at once.
    """

    directory: Path
    schedulers: int = 1
    dispatchers: int = 3
    workers: int = 2
    rest_port: int = 8080
    grpc_port: int = 7070
    session_port: int = 7071
    postgres_url: str | None = None
    redis_url: str | None = None
    etcd_endpoints: str | None = None
    worker_labels: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    slots: int = 100


@dataclass(frozen=True)
class RoleCommands:
    """How each role is started; tests put stand-ins here."""

    migrate: tuple[str, ...] = (*SERVER, "migrate")
    scheduler: tuple[str, ...] = (*SERVER, "scheduler")
    dispatcher: tuple[str, ...] = (*SERVER, "dispatcher")
    worker: tuple[str, ...] = DEMO_WORKER


DEFAULT_COMMANDS = RoleCommands()


@dataclass(frozen=True)
class StoreAddresses:
    """Where the stores are: two URLs, and host:port endpoints separated by commas, with a user if etcd asks for one."""

    postgres_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    etcd_endpoints: str
    etcd_user: str = ""
    etcd_password: str = field(default="", repr=False)

    def environment(self) -> dict[str, str]:
        """The settings that tell a role."""
        addresses = {
            "TASKYARD_POSTGRES_URL": self.postgres_url,
            "TASKYARD_REDIS_URL": self.redis_url,
            "TASKYARD_ETCD_ENDPOINTS": self.etcd_endpoints,
        }
        login = {"TASKYARD_ETCD_USER": self.etcd_user, "TASKYARD_ETCD_PASSWORD": self.etcd_password}
        return {**addresses, **login} if self.etcd_user else addresses


@dataclass(frozen=True)
class Ports:
    """Loopback ports by replica: the schedulers' two, the dispatchers' two."""

    rest: tuple[int, ...]
    grpc: tuple[int, ...]
    session: tuple[int, ...]
    http: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """Everything to run. `rest` (a URL) and `grpc` (host:port) are the first scheduler's."""

    migrate: ProcessSpec
    schedulers: tuple[ProcessSpec, ...]
    dispatchers: tuple[ProcessSpec, ...]
    workers: tuple[ProcessSpec, ...]
    rest: str
    grpc: str


def choose_ports(options: ClusterOptions, is_free: Callable[[int], bool], free_port: Callable[[], int]) -> Ports:
    """Ports for every replica: the asked ones for the first of each role, free ones for the others.

    Raises PlanError when an asked port is taken or asked for twice.
    """
    asked = {"--rest-port": options.rest_port, "--grpc-port": options.grpc_port, "--session-port": options.session_port}
    first: dict[str, int] = {}
    for flag, port in asked.items():
        if port in first.values():
            raise PlanError(f"port {port} is asked for twice: give {flag} another one, or 0 for any free one")
        if port != ANY_PORT and not is_free(port):
            raise PlanError(f"port {port} is already in use: give {flag} another one, or 0 for any free one")
        first[flag] = port if port != ANY_PORT else free_port()

    def with_replicas(flag: str, count: int) -> tuple[int, ...]:
        return (first[flag], *(free_port() for _ in range(count - 1)))

    return Ports(
        rest=with_replicas("--rest-port", options.schedulers),
        grpc=with_replicas("--grpc-port", options.schedulers),
        session=with_replicas("--session-port", options.dispatchers),
        http=tuple(free_port() for _ in range(options.dispatchers)),
    )


def make_plan(
    options: ClusterOptions,
    ports: Ports,
    stores: StoreAddresses,
    environment: Mapping[str, str],
    commands: RoleCommands = DEFAULT_COMMANDS,
) -> Plan:
    """The processes for `options`; children inherit `environment` where the plan says nothing.

    Raises PlanError when labels are given to a worker that there is not.
    """
    stray = sorted(number for number in options.worker_labels if not 1 <= number <= options.workers)
    if stray:
        raise PlanError(f"--worker-label {stray[0]}:… : there are {options.workers} workers, numbered from 1")
    planner = _Planner(options, ports, stores, environment, commands)
    schedulers = tuple(planner.scheduler(index) for index in range(options.schedulers))
    return Plan(
        migrate=planner.migrate(),
        schedulers=schedulers,
        dispatchers=tuple(planner.dispatcher(index) for index in range(options.dispatchers)),
        workers=tuple(planner.worker(index) for index in range(options.workers)),
        rest=schedulers[0].addresses["rest"],
        grpc=schedulers[0].addresses["grpc"],
    )


@dataclass(frozen=True)
class _Planner:
    options: ClusterOptions
    ports: Ports
    stores: StoreAddresses
    environment: Mapping[str, str]
    commands: RoleCommands

    def migrate(self) -> ProcessSpec:
        return self._spec("migrate", "migrate", self.commands.migrate, {}, self.stores.environment())

    def scheduler(self, index: int) -> ProcessSpec:
        rest, grpc = _host_port(self.ports.rest[index]), _host_port(self.ports.grpc[index])
        settings = {"TASKYARD_REST_ADDRESS": rest, "TASKYARD_GRPC_ADDRESS": grpc}
        addresses = {"rest": f"http://{rest}", "grpc": grpc}
        return self._server("scheduler", index, self.commands.scheduler, addresses, settings)

    def dispatcher(self, index: int) -> ProcessSpec:
        session, http = _host_port(self.ports.session[index]), _host_port(self.ports.http[index])
        settings = {"TASKYARD_SESSION_ADDRESS": session, "TASKYARD_HTTP_ADDRESS": http}
        addresses = {"session": session, "http": f"http://{http}"}
        return self._server("dispatcher", index, self.commands.dispatcher, addresses, settings)

    def worker(self, index: int) -> ProcessSpec:
        labels = self.options.worker_labels.get(index + 1, {})
        name = f"worker-{index + 1}"
        settings = {
            "TASKYARD_DISPATCHERS": ",".join(_host_port(port) for port in self.ports.session),
            "TASKYARD_WORKER_NAME": name,
            "TASKYARD_WORKER_LABELS": ",".join(f"{label}={value}" for label, value in labels.items()),
            "TASKYARD_WORKER_SLOTS": str(self.options.slots),
        }
        # Workers look for their module in the folder that they are started in; this one's is installed.
        spec = self._spec("worker", name, self.commands.worker, {}, settings)
        return replace(spec, directory=self.options.directory)

    def _server(
        self, role: str, index: int, argv: tuple[str, ...], addresses: Mapping[str, str], settings: Mapping[str, str]
    ) -> ProcessSpec:
        return self._spec(role, f"{role}-{index + 1}", argv, addresses, {**self.stores.environment(), **settings})

    def _spec(
        self, role: str, name: str, argv: tuple[str, ...], addresses: Mapping[str, str], settings: Mapping[str, str]
    ) -> ProcessSpec:
        unplanned = {key: value for key, value in self.environment.items() if key not in PLANNED_VARIABLES}
        return ProcessSpec(
            name=name,
            role=role,
            argv=argv,
            # Unbuffered, so that a log holds the last words of a process that was killed.
            environment={
                **apart.environment(unplanned),
                "PYTHONUNBUFFERED": "1",
                "TASKYARD_POD_NAME": name,
                **settings,
            },
            log=self.options.directory / "logs" / f"{name}.log",
            addresses=addresses,
        )


def _host_port(port: int) -> str:
    return f"{LOOPBACK}:{port}"
