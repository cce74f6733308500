"""The Kubernetes backend against an API server that keeps what it is told; real HTTP, no cluster."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lightkube import ApiError, KubeConfig
from lightkube.config.models import Cluster as Api
from lightkube.config.models import User

from chaos.backends.cluster import Capability, Direction, Link, Role, Toxic, Unsupported
from chaos.backends.kubernetes import KubernetesCluster, Options
from tests.integration.chaos.api_server import NAMESPACE, ApiServer, serving
from tests.integration.chaos.mesh_fields import Manifest


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with serving(ApiServer()) as running:
        yield running


def options(server: ApiServer, **more: Any) -> Options:
    return Options(
        namespace=NAMESPACE,
        rest=(server.url,),
        grpc=("127.0.0.1:1",),
        postgres_url=more.pop("postgres_url", "postgresql://nobody@127.0.0.1:1/none"),
        redis_url=more.pop("redis_url", "redis://127.0.0.1:1/0"),
        worker_logs=Path("logs"),
        volumes={Role.POSTGRES: "/var/lib/postgresql"},
        config=KubeConfig.from_one(cluster=Api(server=server.url), user=User(token="secret")),
        **more,
    )


@pytest_asyncio.fixture(loop_scope="session")
async def cluster(server: ApiServer) -> AsyncIterator[KubernetesCluster]:
    async with KubernetesCluster(options(server)) as running:
        yield running


def only_experiment(server: ApiServer) -> dict[str, Any]:
    (body,) = server.experiments.values()
    Manifest.model_validate(body)
    return body


async def test_parts_are_the_pods_with_our_labels(cluster: KubernetesCluster, server: ApiServer) -> None:
    server.add_pod("worker", application="someone-else")
    await cluster.wait_whole(5)
    assert [part.name for part in cluster.parts(Role.WORKER)] == server.names("worker")[:2]
    assert {part.role for part in cluster.parts()} == set(Role) - {Role.ETCD}
    assert await cluster.leader() == server.names("dispatcher")[0]


@pytest.mark.parametrize(("number", "grace"), [(signal.SIGKILL, 0), (signal.SIGTERM, None)])
async def test_signals_delete_pods(
    cluster: KubernetesCluster, server: ApiServer, number: signal.Signals, grace: int | None
) -> None:
    victim = server.names("worker")[0]
    await cluster.signal(victim, number)
    assert server.deletions == [(victim, grace)]
    assert victim not in [part.name for part in cluster.parts(Role.WORKER)]
    await cluster.wait_whole(5)


async def test_what_takes_the_node_is_unsupported(cluster: KubernetesCluster, server: ApiServer) -> None:
    part = server.names("scheduler")[0]
    assert {Capability.SIGNAL, Capability.FREEZE, Capability.DESCRIPTORS}.isdisjoint(cluster.capabilities)
    for attempt in (cluster.signal(part, signal.SIGSTOP), cluster.freeze(part), cluster.exhaust_descriptors(part)):
        with pytest.raises(Unsupported):
            await attempt
    with pytest.raises(Unsupported):
        await cluster.restart(part, environment={"A": "b"})


async def test_a_cluster_is_not_whole_without_a_ready_pod_or_a_leader(
    cluster: KubernetesCluster, server: ApiServer
) -> None:
    postgres = server.names("postgres")[0]
    server.set_ready(postgres, False)
    with pytest.raises(TimeoutError, match="postgres"):
        await cluster.wait_whole(0.6)
    server.set_ready(postgres, True)
    server.leaderless = True
    with pytest.raises(TimeoutError, match="leader"):
        await cluster.wait_whole(0.6)
    waiting = asyncio.create_task(cluster.wait_whole(10))
    server.leaderless = False
    await waiting


async def test_restart_waits_for_the_next_pod(cluster: KubernetesCluster, server: ApiServer) -> None:
    former = server.names("dispatcher")[0]
    await cluster.restart(former)
    assert server.deletions == [(former, None)]
    assert len(cluster.parts(Role.DISPATCHER)) == 2


async def test_a_held_part_fails_until_it_is_released(cluster: KubernetesCluster, server: ApiServer) -> None:
    part = server.names("redis")[0]
    await cluster.hold(part)
    await cluster.signal(part, signal.SIGKILL)
    body = only_experiment(server)
    assert (body["kind"], body["spec"]["action"]) == ("PodChaos", "pod-failure")
    assert body["spec"]["selector"] == {"pods": {NAMESPACE: [part]}}
    await cluster.release(part)
    assert server.ended == [body["metadata"]["name"]]
    assert not server.deletions


@pytest.mark.parametrize(
    ("toxic", "expected"),
    [
        ((Toxic.DOWN, {}, Direction.UPSTREAM), {"action": "partition", "direction": "both"}),
        ((Toxic.TIMEOUT, {"timeout": 0}, Direction.UPSTREAM), {"action": "partition", "direction": "to"}),
        ((Toxic.TIMEOUT, {"timeout": 0}, Direction.DOWNSTREAM), {"action": "partition", "direction": "from"}),
        ((Toxic.LATENCY, {"latency": 200, "jitter": 50}, Direction.UPSTREAM), {"action": "delay", "direction": "to"}),
        ((Toxic.BANDWIDTH, {"rate": 64}, Direction.UPSTREAM), {"action": "bandwidth", "direction": "to"}),
    ],
)
async def test_links_are_spoiled_by_network_chaos(
    cluster: KubernetesCluster,
    server: ApiServer,
    toxic: tuple[Toxic, dict[str, int], Direction],
    expected: dict[str, str],
) -> None:
    source = server.names("dispatcher")[0]
    link = Link(source, "postgres")
    assert link in cluster.links
    await cluster.toxic(link, *toxic)
    body = only_experiment(server)
    assert body["kind"] == "NetworkChaos"
    assert {key: body["spec"][key] for key in expected} == expected
    assert body["spec"]["selector"] == {"pods": {NAMESPACE: [source]}}
    assert body["spec"]["target"]["selector"]["labelSelectors"]["app.kubernetes.io/component"] == "postgres"
    await cluster.heal(link)
    assert not server.experiments


async def test_toxics_of_streams_are_unsupported(cluster: KubernetesCluster, server: ApiServer) -> None:
    with pytest.raises(Unsupported):
        await cluster.toxic(cluster.links[0], Toxic.SLICER, {"average_size": 10})
    assert not server.experiments


async def test_clocks_and_disks_are_spoiled_and_relieved(cluster: KubernetesCluster, server: ApiServer) -> None:
    part = server.names("postgres")[0]
    await cluster.jump_clock(part, -3600)
    assert only_experiment(server)["spec"]["timeOffset"] == "-3600s"
    await cluster.relieve(part)
    await cluster.fill_disk(part)
    assert only_experiment(server)["spec"]["errno"] == 28
    await cluster.relieve(part)
    assert not server.experiments
    with pytest.raises(Unsupported):
        await cluster.fill_disk(server.names("redis")[0])


async def test_nothing_is_left_of_experiments(server: ApiServer) -> None:
    async with KubernetesCluster(options(server)) as cluster:
        await cluster.jump_clock(server.names("worker")[0], 60)
        await cluster.toxic(cluster.links[0], Toxic.DOWN)
        assert len(server.experiments) == 2
    assert not server.experiments


async def test_a_missing_chaos_mesh_is_told() -> None:
    with serving(ApiServer(mesh=False)) as server:
        async with KubernetesCluster(options(server)) as cluster:
            with pytest.raises(Unsupported, match="Chaos Mesh"):
                await cluster.toxic(cluster.links[0], Toxic.DOWN)


async def test_a_vanished_pod_cannot_be_deleted_again(cluster: KubernetesCluster, server: ApiServer) -> None:
    victim = server.names("worker")[0]
    await cluster.signal(victim, signal.SIGKILL)
    with pytest.raises(ApiError):
        await cluster.signal(victim, signal.SIGKILL)


async def test_sizes_are_those_of_the_stores_and_of_the_metrics_server(
    server: ApiServer, database_url: str, redis_url: str
) -> None:
    given = options(server, postgres_url=database_url, redis_url=redis_url)
    async with KubernetesCluster(given) as cluster:
        await cluster.redis_command("XADD", "lane", "*", "task", "1")
        await cluster.redis_command("XGROUP", "CREATE", "lane", "dispatchers", "0")
        await cluster.redis_command("XREADGROUP", "GROUP", "dispatchers", "me", "STREAMS", "lane", ">")
        await cluster.postgres_execute("CREATE SCHEMA taskyard")
        await cluster.postgres_execute("CREATE TABLE taskyard.task AS SELECT 1 AS id")
        sizes = await cluster.sizes()
    assert set(sizes.memory) == set(server.pods)
    assert set(sizes.memory.values()) == {64 * 1024**2}
    assert sizes.rows == {"task": 1}
    assert (sizes.redis_keys, sizes.postgres_connections) == (1, 0)
    assert (sizes.streams["lane"].length, sizes.streams["lane"].pending) == (1, 1)
