"""What the pods start is what the programs accept: arguments, variables, settings, ports."""

import os
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest
import typer.testing
import yaml

from taskyard.cli.root import app as command_line
from taskyard.cli.traces import exporters as worker_exporters
from taskyard.worker import settings as worker_settings
from taskyard_core.runtime.settings import StoreSettings
from taskyard_core.telemetry.environment import exporters
from taskyard_core.telemetry.settings import LogSettings
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_scheduler.api import backlogs
from taskyard_scheduler.api.rest import models, views
from taskyard_scheduler.settings import SchedulerSettings
from taskyard_server.command import app as server_command
from tests.deploy.chart import CHART, NAMESPACE, Manifest, Pod, Release, environment, release

AnySettings = TypeVar("AnySettings", bound=StoreSettings)

ROLES: dict[str, type[StoreSettings]] = {"scheduler": SchedulerSettings, "dispatcher": DispatcherSettings}
PORTS = {
    "scheduler": {"http": "rest_address", "grpc": "grpc_address"},
    "dispatcher": {"http": "http_address", "sessions": "session_address"},
}
LOGS = {"TASKYARD_LOG_LEVEL", "TASKYARD_LOG_FORMAT", "TASKYARD_LOG_TRANSITIONS"}
OTLP = {
    *("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"),
    "OTEL_RESOURCE_ATTRIBUTES",
}
CLIENT = {"TASKYARD_ADDRESS", "TASKYARD_NAMESPACE"}


@pytest.fixture
def as_in(rendering: Release, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> "Inside":
    return Inside(rendering, monkeypatch, tmp_path)


class Inside:
    """Gives this process the environment and the settings file of a container."""

    def __init__(self, rendering: Release, monkeypatch: pytest.MonkeyPatch, directory: Path) -> None:
        self._rendering = rendering
        self._monkeypatch = monkeypatch
        self._directory = directory

    def container(self, container: Manifest) -> dict[str, str]:
        variables = environment(container)
        for name in [name for name in os.environ if name.startswith("TASKYARD_")]:
            self._monkeypatch.delenv(name)
        for name, value in variables.items():
            self._monkeypatch.setenv(name, value)
        if "TASKYARD_CONFIG" in variables:
            (config,) = (one for one in self._rendering.of("ConfigMap") if "taskyard.yaml" in one["data"])
            file = self._directory / "taskyard.yaml"
            file.write_text(config["data"]["taskyard.yaml"])
            self._monkeypatch.setenv("TASKYARD_CONFIG", str(file))
        return variables


def as_process(kind: type[AnySettings]) -> AnySettings:
    """The settings that a process of this environment has."""
    nothing: dict[str, Any] = {}
    return kind(**nothing)


def of(rendering: Release, component: str) -> list[Pod]:
    return [pod for pod in rendering.pods() if pod.component == component]


def known_variables(role: str) -> set[str]:
    return {f"TASKYARD_{name.upper()}" for name in ROLES[role].model_fields} | LOGS | {"TASKYARD_CONFIG"}


@pytest.mark.parametrize("role", ROLES)
def test_servers_read_their_environment(rendering: Release, as_in: Inside, role: str) -> None:
    for pod in of(rendering, role):
        variables = as_in.container(pod.containers[0])
        ours = {name for name in variables if name.startswith("TASKYARD_")}
        assert ours <= known_variables(role)
        settings = as_process(ROLES[role])
        assert settings.pod_name == "pod-1"
        assert settings.node_name == "node-1"
        assert all("secretKeyRef" in url for url in (settings.postgres_url, settings.redis_url))
        assert settings.etcd.endpoints
        assert LogSettings.from_environment(variables)
        for port, address in PORTS[role].items():
            assert pod.ports[port] == int(getattr(settings, address).rpartition(":")[2])


def test_the_settings_file_is_read(rendering: Release, as_in: Inside, values: Path) -> None:
    if values.name == "external-stores-values.yaml":
        (pod,) = of(rendering, "scheduler")
        as_in.container(pod.containers[0])
        settings = as_process(SchedulerSettings)
        assert (settings.max_backlog, settings.postgres_connections, settings.etcd_prefix) == (50000, 8, "/taskyard-eu")


def test_etcd_is_spoken_to_with_the_certificates_that_are_mounted(rendering: Release, as_in: Inside) -> None:
    for role, settings in ROLES.items():
        for pod in of(rendering, role):
            as_in.container(pod.containers[0])
            etcd = as_process(settings).etcd
            mounts = [mount["mountPath"] for mount in pod.containers[0]["volumeMounts"]]
            for file in filter(None, (etcd.ca_file, etcd.cert_file, etcd.key_file)):
                assert str(file.parent) in mounts


def test_servers_are_told_a_command_that_exists(rendering: Release) -> None:
    commands = {command.name for command in server_command.registered_commands}
    for pod in rendering.pods():
        for one in pod.every_container:
            if one["image"].split("@")[0].split(":0")[0].endswith("taskyard-server"):
                command, *options = one["args"]
                assert command in commands
                if options:
                    answer = typer.testing.CliRunner().invoke(server_command, [*one["args"], "--help"])
                    assert answer.exit_code == 0, answer.output
                    assert all(word in answer.output for word in options if word.startswith("--"))
                    assert all(name in answer.output for name in environment(one))


def test_migration_reads_its_environment(rendering: Release) -> None:
    for pod in rendering.pods():
        for one in pod.every_container:
            if one.get("args") == ["migrate"]:
                assert environment(one).keys() == {"TASKYARD_POSTGRES_URL"}
                answer = typer.testing.CliRunner().invoke(server_command, ["migrate", "--help"])
                assert "TASKYARD_POSTGRES_URL" in answer.output


def test_workers_read_their_environment(rendering: Release) -> None:
    for pod in of(rendering, "worker"):
        variables = environment(pod.containers[0])
        settings = worker_settings.resolve(environment=variables)
        assert settings.pod == settings.name == "pod-1"
        assert settings.node == "node-1"
        assert settings.dispatchers[0].endswith(":7071")
        assert pod.ports["http"] == int(settings.http_address.rpartition(":")[2])
        pool = pod.labels["taskyard.io/pool"]
        assert settings.grace + 15 <= pod.spec["terminationGracePeriodSeconds"]
        assert settings.labels == ({"io": "ssd", "zone": "a"} if pool == "ssd" else settings.labels)
        read = {"DISPATCHERS", "WORKER_NAME", "WORKER_LABELS", "WORKER_SLOTS", "WORKER_GRACE", "WORKER_HTTP_ADDRESS"}
        known = {f"TASKYARD_{name}" for name in read | {"NAMESPACE", "POD_NAME", "NODE_NAME"}}
        assert variables.keys() - OTLP <= known


def test_servers_and_workers_tell_one_collector_where_they_are(rendering: Release, values: Path) -> None:
    told = yaml.safe_load(values.read_text()) or {}
    endpoint = told.get("telemetry", {}).get("otlpEndpoint")
    for pod in [*of(rendering, "scheduler"), *of(rendering, "dispatcher"), *of(rendering, "worker")]:
        variables = environment(pod.containers[0])
        assert variables.get("OTEL_EXPORTER_OTLP_ENDPOINT") == endpoint
        assert exporters("TRACES", variables) == worker_exporters(variables) == ({"otlp"} if endpoint else set())
        if endpoint:
            attributes = dict(pair.split("=") for pair in variables["OTEL_RESOURCE_ATTRIBUTES"].split(","))
            assert attributes == {
                "k8s.namespace.name": NAMESPACE,
                "k8s.node.name": "node-1",
                "k8s.pod.name": "pod-1",
            }
            assert variables["OTEL_TRACES_SAMPLER"] == "parentbased_traceidratio"
            assert 0 <= float(variables["OTEL_TRACES_SAMPLER_ARG"]) <= 1


def test_schedulers_understand_what_keda_asks() -> None:
    rendering = release(CHART / "ci" / "keda-values.yaml")
    for scaled in rendering.of("ScaledObject"):
        name = scaled["metadata"]["name"].removeprefix("taskyard-worker-")
        (pod,) = (pod for pod in of(rendering, "worker") if pod.labels["taskyard.io/pool"] == name)
        labels = worker_settings.resolve(environment=environment(pod.containers[0])).labels
        for trigger in scaled["spec"]["triggers"]:
            url = urlsplit(trigger["metadata"]["url"])
            query = models.BacklogQuery.model_validate(read_query(url.query))
            asked = backlogs.pool(query.namespace, backlogs.read_labels(query.labels), query.queue, query.type)
            assert (url.path, asked.labels) == ("/v1/backlog", labels)
            assert trigger["metadata"]["valueLocation"] in views.Backlog.model_fields


def read_query(text: str) -> dict[str, str | list[str]]:
    """A query string's parameters, those that may come more than once as lists."""
    found = parse_qs(text, strict_parsing=True, keep_blank_values=True)
    return {name: values if name in ("queue", "type") else values[0] for name, values in found.items()}


def test_the_command_line_accepts_what_pods_tell_it(rendering: Release) -> None:
    for pod in [*of(rendering, "worker"), *of(rendering, "test")]:
        for one in pod.every_container:
            if "taskyard/taskyard-worker" in one["image"]:
                answer = typer.testing.CliRunner().invoke(command_line, [*one["args"], "--help"])
                assert answer.exit_code == 0, answer.output
                options = {word for word in one["args"] if word.startswith("--")}
                assert all(option in answer.output for option in options)
                if pod.component == "test":
                    assert environment(one).keys() == CLIENT
