"""The rendered pods run: local processes in namespaces, probed, restarted and stopped as Kubernetes does it.

In the place of the store images are the real servers of other packages.
"""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from taskyard import Client
from taskyard.models import AttemptOutcome, Task, TaskFilter, TaskState
from tests.deploy import chart
from tests.deploy.chart import CHART, VALUES, Manifest, Release, release, template
from tests.deploy.load import steady_load
from tests.deploy.node import image, namespaces
from tests.deploy.node.certificate import Certificate, self_signed
from tests.deploy.node.cluster import Cluster, cluster
from tests.deploy.node.environment import data
from tests.deploy.node.health import LIVENESS, READINESS, STARTUP
from tests.deploy.node.pod import Pod
from tests.deploy.node.workload import COST, Deployment
from tests.e2e.eventually import eventually

pytestmark = pytest.mark.timeout(900)  # the first test has the images' files put together, slowly on a busy machine
UP, DONE, ROLLED = 120.0, 60.0, 120.0
SLOWEST = 5.0
"""Seconds that a submit may take, whatever is replaced meanwhile."""
SCHEDULER, DISPATCHER, WORKER = "taskyard-scheduler", "taskyard-dispatcher", "taskyard-worker-demo"
STORES = ("taskyard-postgres", "taskyard-redis", "taskyard-etcd")
TLS = ("postgres-ca", "redis-ca", "etcd-client")
OURS = ("taskyard/taskyard-server", "taskyard/taskyard-worker")
OVER = {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.EXPIRED}

Shrink = Callable[[Deployment, int], list[Pod]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def up(assembled: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cluster]:
    """The release that the default values give, ready."""
    if reason := namespaces.obstacle() or image.obstacle():
        pytest.skip(reason)
    answer = template()
    assert answer.returncode == 0, answer.stderr
    async with cluster(Release(answer.stdout), image.images(assembled), tmp_path_factory.mktemp("node")) as made:
        made.install()
        await ready(made)
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def client(up: Cluster) -> AsyncIterator[Client]:
    async with Client(f"{up.services.address(SCHEDULER)}:7070") as client:
        yield client


async def ready(up: Cluster, within: float = UP) -> None:
    """Returns when every pod is ready and the Services know it."""
    workloads = [*up.stateful_sets.values(), *up.deployments.values()]
    try:
        await up.news.until(lambda: all(one.ready for one in workloads), within=within)
    except TimeoutError:
        pytest.fail(f"not ready: {[pod for one in workloads for pod in one.pods if not pod.ready]}")
    await up.services.settled()


async def tasks(client: Client, queue: str) -> list[Task]:
    """All of a queue, once they are over."""

    async def over() -> list[Task] | None:
        found = [task async for task in client.list(TaskFilter(queue=queue), page_size=1000)]
        return found if all(task.state in OVER for task in found) else None

    return await eventually(over, within=DONE, every=0.5)


async def run_again(client: Client, found: Iterable[Task]) -> list[Task]:
    """Tasks that were begun more than once.

    An assignment that crosses the worker's word that it takes nothing more is handed back before it begins.
    """
    again = list[Task]()
    for task in found:
        *before, _ = await client.attempts(task.id) if task.attempt > 1 else [None]
        if any(attempt and attempt.outcome is not AttemptOutcome.RELEASED for attempt in before):
            again.append(task)
    return again


def handed_back(pods: Iterable[Pod]) -> list[str]:
    """What workers say that had to leave tasks unfinished."""
    lines = (line for pod in pods if "taskyard.io/pool" in pod.labels for line in pod.log("worker").splitlines())
    return [line for line in lines if "handing back" in line]


@pytest_asyncio.fixture(loop_scope="session")
async def shrink(up: Cluster) -> AsyncIterator[Shrink]:
    """Scales a Deployment in, for the time of a test; it gives the pods that go."""
    before = {one: one.replicas for one in up.deployments.values()}
    yield lambda deployment, replicas: deployment.scale(replicas)
    for deployment, replicas in before.items():
        deployment.scale(replicas)
    await ready(up)


def ended_in_order(pod: Pod) -> bool:
    """Whether it was told to end, and did so by itself before its grace was over."""
    last = pod.endings[-1]
    return (last.reason, last.killed, last.code) == ("deleted", False, 0)


def memory_limit(pod: Pod) -> int:
    (container,) = pod.spec["containers"]
    return int(container["resources"]["limits"]["memory"].removesuffix("Mi")) << 20


async def test_a_release_becomes_ready_by_its_probes(up: Cluster, client: Client) -> None:
    seen = await client.cluster()
    assert {one.pod for one in seen.dispatchers} == {pod.name for pod in up.deployments[DISPATCHER].pods}
    assert {one.pod for one in await client.workers()} == {pod.name for pod in up.deployments[WORKER].pods}
    for pod in up.pods:
        assert pod.health is not None
        assert pod.health.answers[READINESS, True] > 0
        assert not any(ending.container != "migrate" for ending in pod.endings), pod
        if pod.spec.get("initContainers"):
            # All begin at once, before Postgres is there; that it is not is all that may go wrong.
            said = pod.log("migrate")
            assert said.count("Traceback") == said.count("psycopg.OperationalError: "), said


async def test_helms_test_succeeds(up: Cluster) -> None:
    pod = up.run("taskyard-test", up.release.named("Pod", "taskyard-test"))
    await pod.wait_over()
    assert pod.phase == "Succeeded", [pod.log(name) for name in ("status", "task")]
    assert '"hello"' in pod.log("task")
    assert up.deployments[DISPATCHER].pods[0].name in pod.log("status")


async def test_the_migration_job_succeeds(up: Cluster) -> None:
    rendering = release(CHART / "ci" / "external-stores-values.yaml")
    url = data(up.release.named("Secret", "taskyard-stores"))["postgres-url"]
    # The operator's, of which the chart knows the name.
    up.release.manifests.append({"kind": "Secret", "metadata": {"name": "taskyard-app"}, "stringData": {"uri": url}})
    job = rendering.named("Job", "taskyard-migrate")
    pod = up.run("taskyard-migrate", job["spec"]["template"])
    await pod.wait_over()
    assert (pod.phase, pod.log("migrate")) == ("Succeeded", "up to date\n")


async def test_a_rollout_of_everything_under_load_loses_nothing(up: Cluster, client: Client) -> None:
    async with steady_load(up, "rollout") as load:
        rollouts = [one.restart(within=ROLLED) for one in up.deployments.values()]
        old = [pod for pods in await asyncio.gather(*rollouts) for pod in pods]
        await up.news.until(lambda: all(pod.over for pod in old), within=DONE)
    assert load.refused == []
    assert max(answer["seconds"] for answer in load.answers) < SLOWEST
    found = await tasks(client, "rollout")
    assert {task.id for task in found} == load.accepted
    assert {task.state for task in found} == {TaskState.SUCCEEDED}
    assert await run_again(client, found) == []
    assert handed_back(old) == []
    for pod in old:
        assert ended_in_order(pod), pod.endings
        assert pod.endings[-1].memory < memory_limit(pod), pod


async def test_a_pool_that_shrinks_finishes_what_it_runs(up: Cluster, client: Client, shrink: Shrink) -> None:
    pool = up.deployments[WORKER]
    submitted = [await client.submit("demo.sleep", {"seconds": 3}, queue="shrink") for _ in range(20)]

    async def all_at_work() -> bool:
        return all(worker.running for worker in await client.workers())

    await eventually(all_at_work, within=DONE)
    (gone,) = shrink(pool, 1)
    await gone.wait_over()
    found = await tasks(client, "shrink")
    assert [task.state for task in found] == [TaskState.SUCCEEDED] * len(submitted)
    assert await run_again(client, found) == []
    assert handed_back([gone]) == []
    ran = {attempt.pod for task in submitted for attempt in await client.attempts(task.id)}
    assert ran == {gone.name, pool.pods[0].name}
    assert ended_in_order(gone), gone.endings


async def test_a_pool_that_shrinks_keeps_who_is_at_work(up: Cluster, client: Client, shrink: Shrink) -> None:
    rendering = release(CHART / "ci" / "keda-values.yaml")
    costs = up.run("deletion-cost", rendering.named("Deployment", "taskyard-deletion-cost")["spec"]["template"])
    pool = up.deployments[WORKER]
    task = await client.submit("demo.sleep", {"seconds": 20}, queue="cost")

    async def costly() -> list[Pod]:
        return [pod for pod in pool.pods if pod.annotations.get(COST) == "1"]

    (busy,) = await eventually(costly, within=DONE, every=0.2)
    (gone,) = shrink(pool, 1)
    assert gone is not busy
    assert [pod.name for pod in pool.pods] == [busy.name]
    costs.delete()
    await asyncio.gather(gone.wait_over(), costs.wait_over())
    assert ended_in_order(gone), gone.endings
    assert ended_in_order(costs), costs.log("deletion-cost")
    await client.cancel(task.id)


async def test_killed_pods_come_back_and_tasks_go_on(up: Cluster, client: Client) -> None:
    before = (await client.cluster()).leader
    assert before is not None
    dispatchers, pool = up.deployments[DISPATCHER], up.deployments[WORKER]
    (leader,) = (pod for pod in dispatchers.pods if pod.name == before.pod)
    submitted = [await client.submit("demo.sleep", {"seconds": 5}, queue="kill") for _ in range(20)]

    async def all_at_work() -> bool:
        return all(worker.running for worker in await client.workers())

    await eventually(all_at_work, within=DONE)
    dispatchers.delete(leader, grace=0)
    victim = pool.pods[0]
    assert victim.container is not None
    victim.container.signal(signal.SIGKILL)

    async def led_by_another() -> bool:
        now = (await client.cluster()).leader
        return now is not None and now.term > before.term and now.pod != before.pod

    await eventually(led_by_another, within=DONE)
    found = await tasks(client, "kill")
    assert len(found) == len(submitted)
    assert {task.state for task in found} == {TaskState.SUCCEEDED}
    for task in found:
        # Only those of the worker that was killed run again.
        *lost, _ = await client.attempts(task.id)
        assert all(attempt.pod == victim.name for attempt in lost)
    assert (victim.restarts, victim.endings[-1].reason) == (1, "exited")
    await ready(up)


async def test_while_stores_are_away_nobody_is_restarted_but_who_hangs(up: Cluster, client: Client) -> None:
    hanging, *schedulers = up.deployments[SCHEDULER].pods
    servers = [*schedulers, *up.deployments[DISPATCHER].pods]
    lasting = [pod for one in up.deployments.values() for pod in one.pods if pod is not hanging]
    restarts = {pod: pod.restarts for pod in [hanging, *lasting]}
    assert hanging.container is not None
    hanging.container.signal(signal.SIGSTOP)
    await up.news.until(lambda: not hanging.ready, within=DONE)
    postgres, *hints = (up.stateful_sets[name] for name in STORES)
    await asyncio.gather(*(store.stop(within=DONE) for store in hints))
    handle = await client.submit("demo.echo", 1, queue="outage")
    assert await handle.result(timeout=DONE) == 1
    assert all(pod.ready for pod in lasting)
    await postgres.stop(within=DONE)
    asked = {pod: liveness(pod) for pod in lasting}
    await up.news.until(lambda: all(misses_postgres(pod) for pod in servers), within=DONE)
    await up.news.until(lambda: all(liveness(pod) - asked[pod] > 3 for pod in lasting), within=DONE)
    assert {pod: pod.restarts for pod in lasting} == {pod: restarts[pod] for pod in lasting}
    assert all(pod.ready for pod in lasting if pod not in servers)
    for store in (postgres, *hints):
        store.come_back()
    await ready(up)
    assert hanging.restarts == restarts[hanging] + 1
    assert (hanging.endings[-1].reason, hanging.endings[-1].killed) == ("unhealthy", True)
    handle = await client.submit("demo.echo", 2, queue="outage")
    assert await handle.result(timeout=DONE) == 2


def liveness(pod: Pod) -> int:
    """How often the pod has said that it lives."""
    assert pod.health is not None
    assert pod.health.answers[LIVENESS, False] == 0, pod
    return pod.health.answers[LIVENESS, True]


def misses_postgres(pod: Pod) -> bool:
    """Whether the pod is not ready, and says that it is for that."""
    assert pod.health is not None
    return not pod.ready and "postgres" in pod.health.complaints.get(READINESS, "")


def kind(pod: chart.Pod) -> str:
    """What a pod starts, listens to, is asked, is told and mounts; two that are the same in all that start alike."""
    (one,) = pod.containers
    parts = ("command", "args", "ports", STARTUP, LIVENESS, READINESS, "lifecycle")
    variables = sorted(entry["name"] for entry in one.get("env", []))
    mounts = sorted(mount["mountPath"] for mount in one["volumeMounts"])
    return json.dumps(
        [pod.component, image.repository(one["image"]), [one.get(part) for part in parts], variables, mounts]
    )


def operators(certificate: Certificate) -> list[Manifest]:
    """Secrets that values name and the chart does not make; the stores in them are nowhere."""
    files = {"ca.crt": certificate.certificate, "tls.crt": certificate.certificate, "tls.key": certificate.key}
    contents = {name: {key: path.read_text() for key, path in files.items()} for name in TLS}
    tls = "/etc/taskyard/tls"
    postgres = (
        f"postgresql://taskyard@nowhere.example:5432/taskyard?sslmode=verify-full&sslrootcert={tls}/postgres/ca.crt"
    )
    redis = f"rediss://nowhere.example:6380/0?ssl_ca_certs={tls}/redis/ca.crt"
    contents |= {"taskyard-postgres": {"url": postgres}, "taskyard-redis": {"url": redis}}
    contents |= {"taskyard-app": {"uri": "postgresql://taskyard@nowhere.example:5432/taskyard"}}
    return [{"kind": "Secret", "metadata": {"name": name}, "stringData": text} for name, text in contents.items()]


def started_elsewhere(up: Cluster) -> Iterator[tuple[Path, chart.Pod]]:
    """One pod of each kind, of all that lasts and is made of our images, that the default values do not have."""
    known = {kind(pod) for pod in up.release.pods()}
    for values in VALUES:
        for pod in release(values).pods():
            ours = image.repository(pod.containers[0]["image"]) in OURS
            if ours and pod.lasting and STARTUP in pod.containers[0] and kind(pod) not in known:
                known.add(kind(pod))
                yield values, pod


async def test_what_other_values_make_of_pods_starts_and_stops(up: Cluster, assembled: Path, tmp_path: Path) -> None:
    # Stores are away, so what would migrate first is left out; it runs above.
    secrets = operators(self_signed(tmp_path, "127.0.0.1"))
    async with AsyncExitStack() as stack:
        pods = list[Pod]()
        for number, (values, template) in enumerate(started_elsewhere(up)):
            here = Release("")
            here.manifests = [*release(values).manifests, *secrets]
            made = await stack.enter_async_context(cluster(here, image.images(assembled), tmp_path / str(number)))
            spec = {**template.spec, "initContainers": []}
            pods.append(made.run(f"{template.component}-{number}", {"metadata": {"labels": {}}, "spec": spec}))
            made.news.read_by(up.news.tell)
        assert len(pods) > 5
        await up.news.until(lambda: all(pod.health and pod.health.answers[LIVENESS, True] for pod in pods), within=UP)
        for pod in pods:
            pod.delete()
        await asyncio.gather(*(pod.wait_over() for pod in pods))
        assert [pod.endings for pod in pods if not ended_in_order(pod) or pod.restarts] == []
