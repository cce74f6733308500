"""A cluster to break is what experiments expect: pools, logs, addresses, permissions, and labels that faults aim at."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.testing
import yaml

from chaos import staging, worker
from chaos.__main__ import app as experiments
from chaos.backends.cluster import Role
from chaos.backends.kubernetes.mesh import KINDS
from chaos.backends.kubernetes.pods import APPLICATION, COMPONENT, NAME
from chaos.experiments import PRESETS
from chaos.workloads.fleet import FLEET, Group
from tests.deploy import test_policy
from tests.deploy.chart import ROOT, Loader, Manifest, Pod, Release, environment
from tests.deploy.skaffold import Deployment, deployment, installed
from tests.deploy.test_schemas import VERSIONS, complaint

FOLDER = ROOT / "deploy" / "skaffold" / "chaos"
GROUND = Release((FOLDER / "ground.yaml").read_text())
POLICIES = (
    test_policy.test_pods_meet_the_restricted_standard,
    test_policy.test_every_container_has_requests_and_limits,
    test_policy.test_images_are_pinned,
    test_policy.test_mounts_and_volumes_belong_together,
)


@pytest.fixture
def skaffold() -> Deployment:
    return deployment("chaos")


@pytest.fixture
def cluster() -> Release:
    return installed("chaos")


@pytest.fixture
def job(skaffold: Deployment) -> Release:
    """The Job as Skaffold fills it in: image, command and arguments are always those of `verify`."""
    (case,) = skaffold.config["verify"]
    manifest = yaml.load((ROOT / case["executionMode"]["kubernetesCluster"]["jobManifestPath"]).read_text(), Loader)
    (container,) = [one for one in spec(manifest)["containers"] if one["name"] == case["container"]["name"]]
    container.update(image=f"docker.io/{case['container']['image']}:1", args=case["container"]["args"])
    assert case["container"]["image"] in skaffold.images
    return Release(yaml.safe_dump(manifest))


def spec(manifest: Manifest) -> Manifest:
    found: Manifest = manifest["spec"]["template"]["spec"]
    return found


def only(release: Release) -> Pod:
    (pod,) = release.pods()
    return pod


def option(arguments: list[str], name: str) -> list[str]:
    """The values of an option that may be repeated."""
    return [value for word, value in pairwise(arguments) if word == name]


def pool(cluster: Release, group: Group) -> Pod:
    (pod,) = [pod for pod in cluster.pods() if pod.labels.get("taskyard.io/pool") == group.name]
    return pod


def test_every_role_that_is_struck_is_there(cluster: Release) -> None:
    assert {pod.component for pod in cluster.pods()} >= set(Role)
    assert all(pod.labels[NAME] == APPLICATION for pod in cluster.pods())


def test_no_other_pod_passes_for_a_part(job: Release) -> None:
    assert only(job).labels[COMPONENT] not in set(Role)


def test_what_is_killed_comes_back_with_its_data(cluster: Release) -> None:
    for store in (Role.POSTGRES, Role.ETCD):
        (pod,) = cluster.selected({COMPONENT: store})
        assert pod.owner["spec"]["volumeClaimTemplates"], "a pod that is killed takes its emptyDir along"
    assert cluster.named("StatefulSet", "taskyard-etcd")["spec"]["replicas"] == 3


@pytest.mark.parametrize("group", FLEET, ids=lambda group: group.name)
def test_pools_are_the_workers_that_workloads_need(cluster: Release, group: Group) -> None:
    found = pool(cluster, group)
    (container,) = found.containers
    module, *arguments = container["args"]
    assert module == worker.__name__
    assert found.owner["spec"]["replicas"] == group.workers
    log = option(arguments, "--log")
    assert arguments == ["--log", *log, *group.arguments()]
    variables = environment(container)
    assert variables["TASKYARD_WORKER_SLOTS"] == str(group.slots)
    assert variables["TASKYARD_WORKER_LABELS"] == ",".join(f"{k}={v}" for k, v in sorted(group.labels.items()))


def test_there_are_no_other_pools(cluster: Release) -> None:
    assert len(cluster.selected({COMPONENT: Role.WORKER})) == len(FLEET)


def test_workers_log_where_the_experiment_reads(cluster: Release, job: Release) -> None:
    logs = environment(only(job).containers[0])["CHAOS_WORKER_LOGS"]
    for group in FLEET:
        found = pool(cluster, group)
        (path,) = option(found.containers[0]["args"], "--log")
        assert path == f"{logs}/$(TASKYARD_POD_NAME).jsonl"
        assert shared(found) == shared(only(job))
    assert GROUND.named("PersistentVolumeClaim", "chaos")


def shared(pod: Pod) -> tuple[str, str]:
    """The claim, and where it is mounted."""
    (volume,) = [volume for volume in pod.spec["volumes"] if "persistentVolumeClaim" in volume]
    (mount,) = [one["mountPath"] for one in pod.containers[0]["volumeMounts"] if one["name"] == volume["name"]]
    return volume["persistentVolumeClaim"]["claimName"], mount


def test_commands_understand_their_arguments(cluster: Release, job: Release) -> None:
    workers = typer.Typer()
    workers.command()(worker.main)
    module, *arguments = only(job).containers[0]["args"]
    assert module == "chaos"
    told = [(workers, pool(cluster, group).containers[0]["args"][1:]) for group in FLEET]
    for app, words in [(experiments, arguments), *told]:
        answer = typer.testing.CliRunner().invoke(app, [*words, "--help"])
        assert answer.exit_code == 0, answer.output
        assert all(word in answer.output for word in words if word.startswith("--"))


def test_ended_tasks_are_kept_as_long_as_the_preset_says(cluster: Release, job: Release) -> None:
    (preset,) = option(only(job).containers[0]["args"], "--preset")
    settings = yaml.safe_load(cluster.named("ConfigMap", "taskyard")["data"]["taskyard.yaml"])
    assert settings == dict.fromkeys(("retention", "dead_letter_retention"), PRESETS[preset].retention)


def test_the_experiment_is_told_where_the_cluster_is(cluster: Release, job: Release) -> None:
    (container,) = only(job).containers
    variables = environment(container)
    assert variables.keys() == set(staging.KUBERNETES)
    assert variables["CHAOS_NAMESPACE"] == only(job).owner["metadata"]["namespace"]
    for name in ("CHAOS_REST", "CHAOS_GRPC"):
        match = re.fullmatch(r"(?:http://)?([\w-]+)\.taskyard\.svc:(\d+)", variables[name])
        assert match
        ports = cluster.named("Service", match[1])["spec"]["ports"]
        assert int(match[2]) in {port["port"] for port in ports}
    for entry in container["env"]:
        if "valueFrom" in entry:
            reference = entry["valueFrom"]["secretKeyRef"]
            assert reference["key"] in cluster.named("Secret", reference["name"])["stringData"]


def test_the_experiment_may_do_what_it_does(job: Release) -> None:
    (role,) = GROUND.of("Role")
    granted = {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
    made = {("chaos-mesh.org", plural, verb) for plural in KINDS.values() for verb in ("create", "delete")}
    assert granted == {("", "pods", "list"), ("", "pods", "delete"), ("metrics.k8s.io", "pods", "list"), *made}
    (binding,) = GROUND.of("RoleBinding")
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    (account,) = binding["subjects"]
    assert account["name"] == only(job).spec["serviceAccountName"]
    assert only(job).spec["automountServiceAccountToken"] is True


def test_the_experiment_reaches_the_stores(cluster: Release, job: Release) -> None:
    (policy,) = GROUND.of("NetworkPolicy")
    (rule,) = policy["spec"]["ingress"]
    (source,) = rule["from"]
    assert source["podSelector"]["matchLabels"].items() <= only(job).labels.items()
    (among,) = policy["spec"]["podSelector"]["matchExpressions"]
    opened = {port["port"] for port in rule["ports"]}
    for store in among["values"]:
        (pod,) = cluster.selected({**policy["spec"]["podSelector"]["matchLabels"], COMPONENT: store})
        assert opened & pod.ports.keys()
    assert set(among["values"]) == {Role.POSTGRES, Role.REDIS}


@pytest.mark.parametrize("check", POLICIES, ids=lambda check: check.__name__)
def test_the_experiments_pod_is_as_strict_as_the_charts(job: Release, check: Any) -> None:
    check(job)


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_beside_the_chart_are_valid(job: Release, version: str) -> None:
    for manifest in [*GROUND.manifests, *job.manifests]:
        assert complaint(json.dumps(manifest, sort_keys=True), version) is None


def test_the_ground_is_laid_first(skaffold: Deployment) -> None:
    (hook,) = skaffold.config["deploy"]["helm"]["hooks"]["before"]
    assert str((FOLDER / "ground.yaml").relative_to(ROOT)) in hook["host"]["command"][-1]


def standing() -> Iterator[Manifest]:
    """The experiments of the profile `storm`."""
    (pattern,) = deployment("chaos", "storm").config["manifests"]["rawYaml"]
    for path in sorted(ROOT.glob(pattern)):
        yield from yaml.safe_load_all(path.read_text())


def targets(value: Any) -> Iterator[Manifest]:
    """Whatever selects pods, however deep."""
    if isinstance(value, dict):
        if "selector" in value:
            yield value
        for part in value.values():
            yield from targets(part)


@pytest.mark.parametrize("experiment", list(standing()), ids=lambda one: one["metadata"]["name"])
def test_standing_experiments_find_pods_and_their_volumes(cluster: Release, experiment: Manifest) -> None:
    found = list(targets(experiment["spec"]))
    assert found
    for target in found:
        assert target["selector"]["namespaces"] == ["taskyard"]
        pods = cluster.selected(target["selector"]["labelSelectors"])
        assert pods
        if "volumePath" in target:
            assert all(mounts_data_at(target["volumePath"], pod) for pod in pods)


def mounts_data_at(path: str, pod: Pod) -> bool:
    return {"name": "data", "mountPath": path} in pod.containers[0]["volumeMounts"]


def test_a_worker_that_dies_of_its_task_is_back_at_once(cluster: Release, tmp_path: Path) -> None:
    (group,) = [group for group in FLEET if group.name == "doomed"]
    (container,) = pool(cluster, group).containers
    program = tmp_path / "python"
    first = f"[ -e {tmp_path}/died ] || {{ : >{tmp_path}/died; kill -KILL $$; }}"
    program.write_text(f'#!/bin/sh\necho "$@"\n{first}\nexec sleep 60\n')
    program.chmod(0o755)
    command = [*container["command"], *container["args"]]
    path = {"PATH": f"{tmp_path}:/bin:/usr/bin"}
    with subprocess.Popen(command, env=path, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        expected = " ".join(["-m", *container["args"]]) + "\n"
        assert [shell.stdout.readline(), shell.stdout.readline()] == [expected, expected]
        shell.send_signal(signal.SIGTERM)
        assert shell.wait(timeout=30) == 128 + signal.SIGTERM, "the worker's own code"
