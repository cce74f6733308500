"""The chart renders with the real Helm, and refuses values that make no sense."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_scheduler.settings import SchedulerSettings
from tests.deploy.chart import CHART, VALUES, Release, helm, template

SCHEMA = json.loads((CHART / "values.schema.json").read_text())

CHARTS_OWN = {
    *("postgres_url", "redis_url", "etcd_endpoints", "etcd_ca_file", "etcd_cert_file", "etcd_key_file"),
    *("etcd_user", "etcd_password"),
    *("rest_address", "grpc_address", "session_address", "http_address", "advertised_address"),
    *("pod_name", "node_name", "drain_timeout", "config"),
    # Of servers that listen on a loopback address, which pods don't.
    *("rest_hosts", "http_hosts"),
}
"""Settings that the chart makes of other values, or that pods must not choose."""


def test_there_are_values_for_every_kind_of_installation() -> None:
    assert len(VALUES) >= 12


def test_lint_finds_nothing(values: Path) -> None:
    answer = helm("lint", "--strict", "--quiet", CHART, "--values", values)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_rendering_is_the_same_twice_where_passwords_are_given() -> None:
    given = "--values", CHART / "ci" / "dev-stores-values.yaml"
    assert template(*given).stdout == template(*given).stdout


def test_nothing_is_there_twice(rendering: Release) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in rendering.manifests]
    assert len(names) == len(set(names))


def test_everything_is_in_the_releases_namespace_and_labelled(rendering: Release) -> None:
    for one in rendering.manifests:
        assert one["metadata"]["namespace"] == "jobs"
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "taskyard"
        assert len(one["metadata"]["name"]) <= 63


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("nonsense=1", "nonsense"),
        ("scheduler.replicas=3", "replicas"),
        ("config.max_backlogs=3", "max_backlogs"),
        ("workers.demo.slotz=3", "slotz"),
        ("workers.Big_One.slots=3", "Big_One"),
        ("image.tag=latest", "tag"),
        ("image.digest=sha256:12", "digest"),
        ("workers.demo.autoscaling.mode=magic", "mode"),
        ("etcd.builtin.replicaCount=2", "replicaCount"),
        ("scheduler.terminationGracePeriodSeconds=20", "too short, stopping may take 30"),
        ("workers.demo.terminationGracePeriodSeconds=30", "too short, stopping may take 40"),
        ("postgres.url=postgresql://db/x", "set postgres.builtin.enabled to false"),
        ("redis.builtin.enabled=false", "give either existingSecret or url"),
        ("etcd.builtin.enabled=false", "give endpoints"),
        ("migrations.mode=hook", "before the built-in Postgres exists"),
        ("controlPlane.enabled=false", "dispatchers must say where"),
        ("workers.demo.autoscaling.mode=hpa,workers.demo.autoscaling.minReplicas=0", "only keda scales to zero"),
    ],
)
def test_values_that_make_no_sense_are_refused(wrong: str, complaint: str) -> None:
    answer = template("--set", wrong)
    assert answer.returncode != 0
    assert complaint in answer.stderr


def test_etcds_user_and_password_come_from_a_secret() -> None:
    given = ("etcd.builtin.enabled=false", "etcd.endpoints={e:2379}", "etcd.auth.existingSecret=etcd-login")
    answer = template(*(word for setting in given for word in ("--set", setting)))
    assert answer.returncode == 0, answer.stderr
    for name, key in (("TASKYARD_ETCD_USER", "username"), ("TASKYARD_ETCD_PASSWORD", "password")):
        entry = f"- name: {name}\n              valueFrom: {{secretKeyRef: {{name: etcd-login, key: {key}}}}}"
        assert answer.stdout.count(entry) == 2


def test_every_setting_of_the_server_can_be_configured_and_no_other() -> None:
    known = SchedulerSettings.model_fields.keys() | DispatcherSettings.model_fields.keys()
    assert SCHEMA["properties"]["config"]["properties"].keys() == known - CHARTS_OWN


def test_the_schema_knows_every_value_and_nothing_else() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert list(unlike(values, SCHEMA, "")) == []


def unlike(values: dict[str, Any], schema: dict[str, Any], path: str) -> list[str]:
    """Where keys of values and schema differ, as far as both name their keys."""
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
    if "properties" not in schema or path in ("/config",):
        return []
    differ = [f"{path}/{key}" for key in values.keys() ^ schema["properties"].keys() - {"global"}]
    for key, value in values.items():
        if isinstance(value, dict):
            differ += unlike(value, schema["properties"].get(key, {}), f"{path}/{key}")
    return differ


def test_only_pools_that_do_not_scale_by_themselves_have_a_number_of_replicas(rendering: Release) -> None:
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in rendering.of("HorizontalPodAutoscaler", "ScaledObject")}
    for one in rendering.of("Deployment"):
        assert ("replicas" in one["spec"]) != (one["metadata"]["name"] in scaled)


def test_pools_take_over_defaults_and_switches(tmp_path: Path) -> None:
    answer = template("--set", "workerDefaults.slots=7,workers.other.labels.io=ssd,workers.demo.enabled=false")
    deployments = Release(answer.stdout).of("Deployment")
    assert {one["metadata"]["name"] for one in deployments} == {
        "taskyard-scheduler",
        "taskyard-dispatcher",
        "taskyard-worker-other",
    }
    assert 'value: "7"' in answer.stdout


def test_keda_asks_for_the_pools_own_labels_and_queues() -> None:
    rendering = Release(template("--values", CHART / "ci" / "keda-values.yaml").stdout)
    scaled = rendering.named("ScaledObject", "taskyard-worker-ssd")["spec"]
    backlog, running = (trigger["metadata"] for trigger in scaled["triggers"])
    assert backlog["url"] == (
        "http://taskyard-scheduler.jobs.svc:8080/v1/backlog"
        "?namespace=default&labels=io%3Dssd%2Czone%3Da&queue=mail&queue=reports&type=demo.sleep"
    )
    assert (backlog["valueLocation"], backlog["targetValue"], backlog["activationTargetValue"]) == (
        "backlog",
        "50",
        "0",
    )
    assert (running["valueLocation"], running["targetValue"]) == ("running", "50")
    assert scaled["minReplicaCount"] == 0
