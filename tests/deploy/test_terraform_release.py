"""The chart takes the values that Terraform gives it, and runs what was meant where it was meant."""

from typing import Any

import pytest
import yaml

from deploy.terraform.source import Module, content, module, unquoted
from tests.deploy.chart import Release, environment, template

INPUTS = {
    "name": "taskyard",
    "etcd_storage": "8Gi",
    "etcd_storage_class": "fast",
    "worker_nodes.label": "taskyard.io/pool",
    "worker_nodes.value": "workers",
}


def valued(of: Module, value: Any) -> Any:
    """What an expression of the module comes to, as far as the chart is concerned."""
    if isinstance(value, dict):
        return {valued(of, key): valued(of, below) for key, below in content(value).items()}
    if isinstance(value, list):
        return [valued(of, below) for below in value]
    if not isinstance(value, str):
        return value
    if not value.startswith("${"):
        text = unquoted(value)
        for name, given in INPUTS.items():
            text = text.replace(f"${{var.{name}}}", given)
        return text
    match value.removeprefix("${").removesuffix("}").strip("()").split("."):
        case ["var", *path] if ".".join(path) in INPUTS:
            return INPUTS[".".join(path)]
        case ["local", name]:
            return valued(of, of.locals[name])
        case ["kubernetes_secret_v1", name, "metadata[0]", "name"]:
            (secret,) = [block for block in of.of("kubernetes_secret_v1") if block.name == name]
            return valued(of, secret.body["metadata"][0]["name"])
    return "stand-in"


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    of = module("release")
    path = tmp_path_factory.mktemp("values") / "values.yaml"
    path.write_text(yaml.safe_dump(valued(of, of.locals["values"])))
    answer = template("--values", path)
    assert answer.returncode == 0, answer.stderr
    return Release(answer.stdout)


def test_servers_read_their_urls_from_the_secrets_made_here(release: Release) -> None:
    assert not release.of("Secret")
    servers = [pod for pod in release.pods() if pod.component in ("scheduler", "dispatcher", "migration")]
    assert len(servers) == 3
    for pod in servers:
        variables = environment(pod.containers[0])
        assert variables["TASKYARD_POSTGRES_URL"].endswith(
            str({"secretKeyRef": {"name": "taskyard-postgres", "key": "url"}})
        )
        files = {volume["secret"]["secretName"] for volume in pod.spec["volumes"] if "secret" in volume}
        assert "taskyard-postgres-ca" in files
        if pod.lasting:
            assert variables["TASKYARD_REDIS_URL"].endswith(
                str({"secretKeyRef": {"name": "taskyard-redis", "key": "url"}})
            )
            assert "checksum/stores" in pod.owner["spec"]["template"]["metadata"]["annotations"]


def test_etcd_has_three_members_with_volumes_and_the_other_stores_are_elsewhere(release: Release) -> None:
    (etcd,) = release.of("StatefulSet")
    assert etcd["spec"]["replicas"] == 3
    (claim,) = etcd["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"]["storage"] == "8Gi"


def test_workers_and_only_workers_run_on_nodes_that_cannot_reach_the_stores(release: Release) -> None:
    tolerant = [pod for pod in release.pods() if pod.spec.get("tolerations")]
    assert {pod.component for pod in tolerant} == {"worker"}
    assert {pod.component for pod in release.pods()} > {"worker"}
    (worker,) = tolerant
    assert worker.spec["nodeSelector"] == {"taskyard.io/pool": "workers"}
    (toleration,) = worker.spec["tolerations"]
    assert toleration == {"key": "taskyard.io/pool", "operator": "Equal", "value": "workers", "effect": "NoSchedule"}
