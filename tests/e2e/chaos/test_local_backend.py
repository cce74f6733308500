"""The local backend does to real processes what it says, and makes its cluster whole again."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest
import pytest_asyncio

from chaos.backends.cluster import PREVIOUS, SERVERS, Capability, Direction, Link, Role, Toxic, Unsupported
from chaos.backends.local import Hand, LocalCluster, Options
from chaos.backends.local.layout import CLIENT
from chaos.faults import refusals
from chaos.faults.fault import Blow, Fault, Scene
from tests.e2e.eventually import eventually

WHOLE = 60.0
SECONDS = 20.0
DEMO_WORKER = (sys.executable, "-m", "taskyard.cli", "worker", "run", "taskyard.demo:worker")

with_tools = pytest.mark.usefixtures("tools")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cluster(tools: None, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCluster]:
    options = Options(
        directory=tmp_path_factory.mktemp("chaos") / "cluster",
        dispatchers=2,
        workers=(Hand(command=DEMO_WORKER),) * 2,
        volume_bytes=1024**3,
        clocks=True,
        previous="HEAD",
    )
    async with LocalCluster(options) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session", autouse=True)
async def whole_again(request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """After each test the cluster is whole and runs a task."""
    yield
    if "cluster" in request.fixturenames:
        running = request.getfixturevalue("cluster")
        await running.wait_whole(WHOLE)
        await runs_a_task(running)


async def runs_a_task(cluster: LocalCluster) -> None:
    async with httpx.AsyncClient(base_url=cluster.rest_addresses[0], timeout=30) as rest:

        async def submitted() -> str | None:
            answer = await rest.post("/v1/tasks", json={"type": "demo.echo", "payload": 1})
            return answer.json()["id"] if answer.status_code == 201 else None

        task = await eventually(submitted, within=SECONDS)
        ended = await rest.get(f"/v1/tasks/{task}", params={"wait": "20s"})
        assert ended.json()["state"] == "SUCCEEDED"


def pid_of(cluster: LocalCluster, name: str) -> int | None:
    (part,) = [part for part in cluster.parts() if part.name == name]
    return part.pid


async def came_back(cluster: LocalCluster, name: str, former: int | None) -> int:
    async def fresh() -> int | None:
        pid = pid_of(cluster, name)
        return pid if pid != former else None

    return await eventually(fresh, within=SECONDS)


def environment_of(cluster: LocalCluster, name: str) -> dict[str, str]:
    return psutil.Process(pid_of(cluster, name)).environ()


async def answers(url: str, probe: str = "livez") -> bool:
    async with httpx.AsyncClient(timeout=1.0) as http:
        try:
            return (await http.get(f"{url}/{probe}")).status_code == 200
        except httpx.HTTPError:
            return False


async def test_every_part_of_a_whole_cluster_runs(cluster: LocalCluster) -> None:
    names = {role: [part.name for part in cluster.parts(role)] for role in Role}
    assert {role: len(found) for role, found in names.items()} == {
        "scheduler": 2,
        "dispatcher": 2,
        "worker": 2,
        "postgres": 2,
        "redis": 2,
        "etcd": 3,
    }
    assert all(part.pid for part in cluster.parts())
    assert await cluster.leader() in names[Role.DISPATCHER]
    assert await cluster.leader(Role.ETCD) in names[Role.ETCD]
    assert {Link("worker-1", "dispatcher-2"), Link("dispatcher-1", "redis")} <= set(cluster.links)


async def test_a_killed_part_comes_back(cluster: LocalCluster) -> None:
    leader = await cluster.leader()
    assert leader is not None
    former = pid_of(cluster, leader)
    await cluster.signal(leader, signal.SIGKILL)
    await came_back(cluster, leader, former)


async def test_a_held_part_stays_away_until_it_is_released(cluster: LocalCluster) -> None:
    await cluster.hold("worker-1")
    await cluster.signal("worker-1", signal.SIGKILL)
    with pytest.raises(TimeoutError, match="worker-1"):
        await cluster.wait_whole(1.5)  # longer than its backoff
    assert pid_of(cluster, "worker-1") is None
    await cluster.release("worker-1")


async def test_a_frozen_postgres_answers_nobody(cluster: LocalCluster) -> None:
    primary = await cluster.leader(Role.POSTGRES)
    assert primary is not None
    await cluster.freeze(primary)
    family = psutil.Process(pid_of(cluster, primary))
    states = {process.status() for process in (family, *family.children(recursive=True))}
    await cluster.thaw(primary)
    assert states == {psutil.STATUS_STOPPED}


async def test_a_frozen_postgres_is_killed_with_its_frozen_children(cluster: LocalCluster) -> None:
    primary = await cluster.leader(Role.POSTGRES)
    assert primary is not None
    former = pid_of(cluster, primary)
    children = psutil.Process(former).children(recursive=True)
    await cluster.freeze(primary)
    await cluster.signal(primary, signal.SIGKILL)
    await came_back(cluster, primary, former)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


async def test_a_part_is_restarted_with_an_environment_until_it_gets_another(cluster: LocalCluster) -> None:
    await cluster.restart("scheduler-2", environment={"TASKYARD_MAX_BACKLOG": "77"})
    former = pid_of(cluster, "scheduler-2")
    await cluster.signal("scheduler-2", signal.SIGKILL)
    await came_back(cluster, "scheduler-2", former)
    assert environment_of(cluster, "scheduler-2")["TASKYARD_MAX_BACKLOG"] == "77"
    await cluster.restart("scheduler-2", environment={})
    assert "TASKYARD_MAX_BACKLOG" not in environment_of(cluster, "scheduler-2")


def modules_of(environment: dict[str, str], checkout: Path, elsewhere: Path) -> list[str]:
    """Where the command, the SDK and the dispatcher are imported from with such variables."""
    # What a role is imported as has changed since the first of those that may be "earlier".
    names = [folder.name for folder in checkout.glob("dispatcher/taskyard_*")] or ["dispatcher"]
    tell = "import importlib, sys; print(*(importlib.import_module(name).__file__ for name in sys.argv[1:]), sep='\\n')"
    command = [sys.executable, "-P", "-c", tell, "taskyard_server", "taskyard", *names]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=elsewhere)
    return told.stdout.split()


async def test_a_part_runs_an_earlier_version(cluster: LocalCluster, tmp_path: Path) -> None:
    await cluster.restart("dispatcher-2", version=PREVIOUS)
    environment = environment_of(cluster, "dispatcher-2")
    checkout = environment["PYTHONPATH"].split(":")[0]
    loaded = await asyncio.to_thread(modules_of, environment, Path(checkout), tmp_path)
    assert len(loaded) == 3
    assert all(path.startswith(checkout) for path in loaded), loaded
    await cluster.wait_whole(WHOLE)
    await cluster.restart("dispatcher-2", version="current")
    assert "PYTHONSAFEPATH" not in environment_of(cluster, "dispatcher-2")


async def test_links_are_cut_slowed_and_silenced(cluster: LocalCluster) -> None:
    link = Link(CLIENT, "scheduler-1")
    url = cluster.rest_addresses[0]
    await cluster.toxic(link, Toxic.DOWN)
    assert not await answers(url)
    await cluster.heal(link)
    await cluster.toxic(link, Toxic.TIMEOUT, {"timeout": 0}, Direction.UPSTREAM)
    assert not await answers(url)
    await cluster.heal(link)
    await cluster.toxic(link, Toxic.LATENCY, {"latency": 400, "jitter": 0})
    began = time.monotonic()
    assert await answers(url)
    assert time.monotonic() - began >= 0.4
    await cluster.heal(link)
    assert await answers(url)


async def test_redis_fails_over_and_loses_its_data(cluster: LocalCluster) -> None:
    former = await cluster.leader(Role.REDIS)
    await cluster.redis_failover()
    assert await cluster.leader(Role.REDIS) != former
    await cluster.wait_whole(WHOLE)
    await cluster.redis_command("SET", "remembered", 1)
    primary = await cluster.leader(Role.REDIS)
    assert primary is not None
    pid = pid_of(cluster, primary)
    await cluster.wipe(primary)
    await came_back(cluster, primary, pid)
    await cluster.wait_whole(WHOLE)
    assert await cluster.redis_command("EXISTS", "remembered") == 0


async def test_postgres_fails_over_twice_without_losing_a_commit(cluster: LocalCluster) -> None:
    await cluster.postgres_execute("CREATE TABLE kept (round int)")
    former = await cluster.leader(Role.POSTGRES)
    for number in (1, 2):
        await cluster.postgres_execute(f"INSERT INTO kept VALUES ({number})")
        await cluster.postgres_failover()
        await cluster.wait_whole(WHOLE)
    assert await cluster.leader(Role.POSTGRES) == former
    assert await cluster.postgres_execute("SELECT count(*) FROM kept") == [{"count": 2}]


async def test_etcd_changes_its_leader_loses_it_and_loses_quorum(cluster: LocalCluster) -> None:
    chosen = await cluster.etcd_move_leader()

    async def leads() -> bool:
        return await cluster.leader(Role.ETCD) == chosen

    await eventually(leads, within=SECONDS)
    await cluster.etcd_compact()
    members = [part.name for part in cluster.parts(Role.ETCD)]
    for member in (chosen, next(name for name in members if name != chosen)):
        await cluster.hold(member)
        await cluster.signal(member, signal.SIGKILL)

    async def has_none() -> bool:
        return await cluster.leader(Role.ETCD) is None

    await eventually(has_none, within=SECONDS)
    for member in members:
        await cluster.release(member)


@pytest.mark.parametrize("fault", refusals.faults(), ids=lambda fault: fault.name)
async def test_stores_say_no_and_yes_again(cluster: LocalCluster, fault: Fault) -> None:
    pids = {part.name: part.pid for role in SERVERS for part in cluster.parts(role)}
    async with fault.inject(Scene(cluster), Blow(fault.targets[0], 0.0)):
        if fault.targets[0].startswith("postgres"):

            async def unready() -> bool:
                return not await answers(cluster.rest_addresses[0], "readyz")

            await eventually(unready, within=SECONDS)
    await cluster.wait_whole(WHOLE)
    # They waited: nobody ended and was started again.
    assert {part.name: part.pid for role in SERVERS for part in cluster.parts(role)} == pids


async def test_a_part_without_descriptors_accepts_nobody(cluster: LocalCluster) -> None:
    await cluster.exhaust_descriptors("scheduler-1")
    assert not await answers(cluster.rest_addresses[0])
    await cluster.relieve("scheduler-1")

    async def accepts() -> bool:
        return await answers(cluster.rest_addresses[0])

    await eventually(accepts, within=SECONDS)


async def test_a_clock_jumps(cluster: LocalCluster) -> None:
    if Capability.CLOCK not in cluster.capabilities:
        with pytest.raises(Unsupported):
            await cluster.jump_clock("scheduler-1", 3600)
        return

    async def is_off_by(seconds: float) -> bool:
        try:
            async with httpx.AsyncClient() as http:
                answer = await http.get(f"{cluster.rest_addresses[0]}/livez")
        except httpx.TransportError:
            return False  # It is being started again.
        offset = parsedate_to_datetime(answer.headers["date"]).timestamp() - time.time()
        return abs(offset - seconds) < 60

    await cluster.jump_clock("scheduler-1", 3600)
    await eventually(lambda: is_off_by(3600), within=SECONDS)
    await cluster.relieve("scheduler-1")
    await eventually(lambda: is_off_by(0), within=SECONDS)


async def test_a_disk_is_full(cluster: LocalCluster) -> None:
    primary = await cluster.leader(Role.POSTGRES)
    assert primary is not None
    if Capability.DISK not in cluster.capabilities:
        with pytest.raises(Unsupported):
            await cluster.fill_disk(primary)
        return
    await cluster.fill_disk(primary)
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await cluster.postgres_execute("CREATE TABLE large AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
    await cluster.relieve(primary)


async def test_sizes_tell_what_is_there(cluster: LocalCluster) -> None:
    sizes = await cluster.sizes()
    assert set(sizes.memory) == set(sizes.descriptors) == {part.name for part in cluster.parts()}
    assert min(sizes.memory.values()) > 0
    assert sizes.postgres_connections > 0
    assert sizes.rows["task"] > 0
    assert sizes.redis_keys > 0
    assert all(size.pending <= size.length for size in sizes.streams.values())


def left_of(directory: Path) -> list[psutil.Process]:
    """Processes that were started for a cluster in a directory."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            told = [*process.cmdline(), process.cwd(), *process.environ().values()]
            if any(str(directory) in word for word in told):
                found.append(process)
    return found


@with_tools
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_nothing_is_left_of_a_cluster_whose_runner_is_ended(number: signal.Signals, tmp_path: Path) -> None:
    runner = await asyncio.create_subprocess_exec(
        sys.executable, str(Path(__file__).with_name("runner.py")), str(tmp_path)
    )

    async def has_stores() -> bool:
        return all((tmp_path / "logs" / f"{name}.log").exists() for name in ("postgres-2", "redis-2", "etcd-3"))

    async def is_gone() -> bool:
        return not left_of(tmp_path)

    await eventually(has_stores, within=WHOLE)
    runner.send_signal(number)
    await runner.wait()
    await eventually(is_gone, within=SECONDS)
