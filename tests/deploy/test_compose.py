"""The Compose file is valid, starts what there is with settings that it knows, and guards what it starts."""

import copy
import hashlib
import json
import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import typer.testing
import yaml

from taskyard.cli.root import app as command_line
from taskyard.cli.traces import exporters as worker_exporters
from taskyard.worker import settings as worker_settings
from taskyard_core.runtime.settings import StoreSettings
from taskyard_core.telemetry.environment import exporters
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_scheduler.settings import SchedulerSettings
from taskyard_server.command import app as server_command
from tests.deploy.chart import CHART, ROOT
from tests.deploy.dockerfile import IMAGES, stages
from tests.deploy.prometheus import PROGRAMS, promtool
from tests.deploy.stack import COMPOSE, Document, Service, document, found_by, read, seconds, services
from tests.deploy.test_processes import ROLES, as_process, known_variables

# schema/compose-spec.json of the Go module github.com/compose-spec/compose-go/v2 v2.16.2 (Apache-2.0), unchanged.
SCHEMA = Path(__file__).parent / "schemas" / "compose-spec.json"
SCHEMA_SHA256 = "f266dcbb043229405d7cedd5aec918f9102c2b3d5e3850808fdd8edd564a43ff"

PORTS = {"REST": 8080, "gRPC": 7070, "Grafana": 3000, "Jaeger": 16686, "Prometheus": 9090}
SCALED = ("worker", "dispatcher")
ONCE = {"migration", "taskyard"}
BARE = {"collector"}  # nothing in its image could ask after its health
AFTER_DRAIN = 10
SDK = {"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_METRICS_EXPORTER"}

EVERY = pytest.mark.parametrize("service", services().values(), ids=services())
SERVERS = [service for service in services().values() if service.role in ROLES]


def complaints(stack: Document) -> list[str]:
    """What the Compose specification has against it."""
    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(stack)]


def test_it_follows_the_specification() -> None:
    assert hashlib.sha256(SCHEMA.read_bytes()).hexdigest() == SCHEMA_SHA256
    assert complaints(document()) == []


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [
        ("worker", "comand", ["x"]),
        ("worker", "stop_grace_period", 40),
        ("dispatcher", "depends_on", {"etcd": {"condition": "service_ready"}}),
        ("etcd", "deploy", {"resources": {"limit": {"cpus": "1"}}}),
        ("grafana", "healthcheck", {"test": "x", "intervall": "1s"}),
    ],
)
def test_the_specification_finds_mistakes(service: str, key: str, value: Any) -> None:
    wrong = copy.deepcopy(document())
    wrong["services"][service][key] = value
    assert complaints(wrong)


@EVERY
def test_images_are_pinned(service: Service) -> None:
    image = service.values["image"]
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+(\.\d+)?", image)
    if service.ours:
        version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
        assert image.endswith(f":{version}")
        # Somebody else's image of that name is not wanted.
        assert service.values["pull_policy"] == "never"


def test_stores_are_those_of_the_chart() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for chart, name in {"postgres": "postgres", "redis": "valkey", "etcd": "etcd"}.items():
        image = values[chart]["builtin"]["image"]
        official = f"{image['repository']}:{image['tag']}".removeprefix("library/")
        assert services()[name].values["image"].removeprefix("quay.io/") == official


@EVERY
def test_it_has_no_more_rights_than_it_needs(service: Service) -> None:
    values = service.values
    assert re.fullmatch(r"[1-9]\d*:\d+", values["user"])
    assert values["read_only"] is True
    assert values["cap_drop"] == ["ALL"]
    assert values["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc"} & values.keys()
    assert "docker.sock" not in str(values)
    assert all(part.endswith(":ro") for part in values.get("volumes", []) if part.startswith("."))


@EVERY
def test_it_is_limited(service: Service) -> None:
    assert service.values["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service.values["logging"] == {"driver": "local"}, "that driver throws old lines away"


@EVERY
def test_it_comes_back_unless_it_is_to_run_once(service: Service) -> None:
    assert service.values["restart"] == ("no" if service.name in ONCE else "unless-stopped")


def test_few_ports_are_open_and_only_to_this_machine() -> None:
    outside = [port for service in services().values() for port in service.published]
    assert sorted(outside) == sorted(PORTS.values())


@pytest.mark.parametrize("name", SCALED)
def test_what_is_scaled_has_nothing_that_only_one_can_have(name: str) -> None:
    assert not {"container_name", "hostname", "ports"} & services()[name].values.keys()


@EVERY
def test_its_health_is_asked_for_without_a_shell(service: Service) -> None:
    check = service.values.get("healthcheck", {})
    if service.name in BARE | ONCE:
        assert not check or check == {"disable": True}
    elif service.ours:
        (command,) = re.findall(r"HEALTHCHECK .*CMD (\[.*\])", (ROOT / "Dockerfile").read_text())
        assert check["test"] == ["CMD", *json.loads(command)]
    else:
        assert check["test"][0] == "CMD"


@EVERY
def test_it_waits_for_what_can_be_waited_for(service: Service) -> None:
    for name, how in service.values.get("depends_on", {}).items():
        other = services()[name]
        waiting = "service_healthy" if other.lasting else "service_completed_successfully"
        assert how == {"condition": waiting}
        assert not other.lasting or "test" in other.values["healthcheck"]


def test_everybody_stops_after_those_that_need_it() -> None:
    # Compose stops in the opposite order: workers hand back to dispatchers that are there, these to stores.
    assert "dispatcher" in services()["worker"].values["depends_on"]
    for server in SERVERS:
        assert {"migration", "valkey", "etcd"} <= server.values["depends_on"].keys()


def test_everybody_gets_longer_to_stop_than_it_needs() -> None:
    for service in services().values():
        drain = service.environment.get("TASKYARD_DRAIN_TIMEOUT") or service.environment.get("TASKYARD_WORKER_GRACE")
        if service.lasting:
            assert seconds(service.values["stop_grace_period"]) >= float(drain or 0) + AFTER_DRAIN, service.name
        if service.lasting and service.ours:
            assert drain, f"{service.name}: say it, so that both can be compared"


def settings(service: Service, monkeypatch: pytest.MonkeyPatch) -> StoreSettings:
    """What a server of this environment is set to."""
    for name in [name for name in os.environ if name.startswith("TASKYARD_")]:
        monkeypatch.delenv(name)
    for name, value in service.environment.items():
        monkeypatch.setenv(name, value)
    return as_process(ROLES[service.role])


def port(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.mark.parametrize("service", SERVERS, ids=lambda service: service.name)
def test_servers_read_their_environment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {name for name in service.environment if name.startswith("TASKYARD_")}
    assert own <= known_variables(service.role)
    assert service.environment.keys() - own <= SDK
    assert exporters("TRACES", service.environment) == {"otlp"}
    assert exporters("METRICS", service.environment) == frozenset()
    found = settings(service, monkeypatch)
    stores = {urlsplit(found.postgres_url).hostname, urlsplit(found.redis_url).hostname}
    stores |= {endpoint.rpartition(":")[0] for endpoint in found.etcd.endpoints}
    assert stores == {"postgres", "valkey", "etcd"}
    assert all(found_by(service, store or "") for store in stores)


def test_there_are_as_many_servers_as_an_outage_of_one_needs() -> None:
    roles = [server.role for server in SERVERS for _ in range(server.replicas)]
    assert (roles.count("scheduler"), roles.count("dispatcher")) == (2, 3)


def test_postgres_has_the_database_and_the_connections_that_servers_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    postgres = services()["postgres"]
    wanted = 0
    for server in SERVERS:
        found = settings(server, monkeypatch)
        url = urlsplit(found.postgres_url)
        made = {name: postgres.environment[f"POSTGRES_{name}"] for name in ("USER", "PASSWORD", "DB")}
        assert made == {"USER": url.username, "PASSWORD": url.password, "DB": url.path[1:]}
        wanted += (found.postgres_connections + 4) * server.replicas
    (allowed,) = [word.partition("=")[2] for word in postgres.command if word.startswith("max_connections")]
    assert int(allowed) >= 2 * wanted, "dispatchers may be scaled"


def test_ports_of_this_machine_lead_to_where_schedulers_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings(services()["scheduler-1"], monkeypatch)
    assert isinstance(found, SchedulerSettings)
    listening = {PORTS["REST"]: port(found.rest_address), PORTS["gRPC"]: port(found.grpc_address)}
    assert services()["scheduler-1"].published == listening


def test_servers_are_told_commands_that_exist() -> None:
    commands = {command.name for command in server_command.registered_commands}
    told = {service.role for service in services().values() if service.role}
    assert told == {"scheduler", "dispatcher", "migrate"} <= commands


def test_the_migration_is_told_where_and_nothing_else() -> None:
    assert services()["migration"].environment.keys() == {"TASKYARD_POSTGRES_URL"}
    answer = typer.testing.CliRunner().invoke(server_command, ["migrate", "--help"])
    assert "TASKYARD_POSTGRES_URL" in answer.output


def test_workers_read_their_environment_and_find_each_dispatcher(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = services()["worker"]
    found = worker_settings.resolve(environment=worker.environment)
    (address,) = found.dispatchers
    (dispatcher,) = found_by(worker, address.rpartition(":")[0])
    served = settings(dispatcher, monkeypatch)
    assert isinstance(served, DispatcherSettings)
    assert dispatcher.role == "dispatcher"
    assert port(address) == port(served.session_address)
    read = {"DISPATCHERS", "WORKER_SLOTS", "WORKER_GRACE", "WORKER_HTTP_ADDRESS"}
    assert worker.environment.keys() - SDK == {f"TASKYARD_{name}" for name in read}


def test_workers_and_clients_do_not_reach_the_stores() -> None:
    assert document()["networks"]["stores"] == {"internal": True}
    for name in ("postgres", "valkey", "etcd", "migration"):
        assert services()[name].networks == {"stores"}
    for name in ("worker", "taskyard", "grafana", "prometheus", "jaeger", "collector"):
        assert services()[name].networks == {"default"}


def test_the_command_line_finds_both_schedulers(monkeypatch: pytest.MonkeyPatch) -> None:
    service = services()["taskyard"]
    assert service.replicas == 0, "it runs when it is called"
    assert service.environment.keys() == {"TASKYARD_ADDRESS"}
    host, _, number = service.environment["TASKYARD_ADDRESS"].rpartition(":")
    assert [one.name for one in found_by(service, host)] == ["scheduler-1", "scheduler-2"]
    found = settings(services()["scheduler-2"], monkeypatch)
    assert isinstance(found, SchedulerSettings)
    assert int(number) == port(found.grpc_address)
    assert typer.testing.CliRunner().invoke(command_line, service.command).exit_code == 0


@EVERY
def test_what_is_mounted_is_there(service: Service) -> None:
    for what in service.mounts.values():
        assert (COMPOSE / what).exists() if what.startswith(".") else what in document()["volumes"]


def test_every_volume_is_used() -> None:
    used = {what for service in services().values() for what in service.mounts.values()}
    assert document()["volumes"].keys() <= used


def scraped() -> dict[str, list[str]]:
    """host:port of each job of Prometheus."""
    found: dict[str, list[str]] = {}
    for job in read("prometheus.yaml")["scrape_configs"]:
        named = [f"{name}:{way['port']}" for way in job.get("dns_sd_configs", []) for name in way["names"]]
        fixed = [target for way in job.get("static_configs", []) for target in way["targets"]]
        found[job["job_name"]] = [*named, *fixed]
    return found


def test_prometheus_scrapes_whoever_has_metrics_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    schedulers, dispatchers = (settings(services()[name], monkeypatch) for name in ("scheduler-1", "dispatcher"))
    assert isinstance(schedulers, SchedulerSettings)
    assert isinstance(dispatchers, DispatcherSettings)
    worker = worker_settings.resolve(environment=services()["worker"].environment)
    reader = read("collector.yaml")["service"]["telemetry"]["metrics"]["readers"][0]
    assert scraped() == {
        "scheduler": [f"scheduler:{port(schedulers.rest_address)}"],
        "dispatcher": [f"dispatcher:{port(dispatchers.http_address)}"],
        "worker": [f"worker:{port(worker.http_address)}"],
        "collector": [f"collector:{reader['pull']['exporter']['prometheus']['port']}"],
        "jaeger": ["jaeger:8888"],
        "prometheus": ["localhost:9090"],
    }
    asking = services()["prometheus"]
    for target in (target for targets in scraped().values() for target in targets):
        host = target.rpartition(":")[0]
        assert host == "localhost" or found_by(asking, host), target


@pytest.mark.skipif(not PROGRAMS.exists(), reason="no Prometheus in .tools: `make verify-deploy` gets it where apt is")
def test_promtool_accepts_the_configuration_and_finds_the_charts_rules(tmp_path: Path) -> None:
    service = services()["prometheus"]
    (config,) = [word.partition("=")[2] for word in service.command if word.startswith("--config.file")]
    shutil.copy(service.file(config), tmp_path / "prometheus.yml")
    (pattern,) = read("prometheus.yaml")["rule_files"]
    rules = service.file(f"{Path(config).parent}/{Path(pattern).parent}")
    assert rules == CHART / "files" / "rules"
    (tmp_path / "rules").symlink_to(rules)
    assert {path.name for path in tmp_path.glob(pattern)} == {path.name for path in rules.iterdir()}
    promtool("check", "config", "--lint=all", "--lint-fatal", tmp_path / "prometheus.yml")


def test_grafana_shows_the_charts_dashboards_and_asks_services_that_are_there() -> None:
    service = services()["grafana"]
    folder = CHART / "files" / "dashboards"
    provisioned = {
        kind: yaml.safe_load(service.file(f"/etc/grafana/provisioning/{kind}/taskyard.yaml").read_text())
        for kind in ("dashboards", "datasources")
    }
    (provider,) = provisioned["dashboards"]["providers"]
    assert service.file(provider["options"]["path"]) == folder
    home = service.file(service.environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert home.parent == folder
    assert home.exists()
    sources = provisioned["datasources"]["datasources"]
    for source in sources:
        url = urlsplit(source["url"])
        (asked,) = found_by(service, url.hostname)
        assert (source["type"], url.port) == (asked.name, PORTS[source["name"]])
        assert asked.published == {url.port: url.port}
    assert [source["type"] for source in sources if source.get("isDefault")] == ["prometheus"]


def test_the_collector_takes_what_is_sent_and_passes_it_on() -> None:
    config = read("collector.yaml")
    (receiver,) = config["receivers"].values()
    taken = port(receiver["protocols"]["grpc"]["endpoint"])
    senders = [one for one in services().values() if "OTEL_EXPORTER_OTLP_ENDPOINT" in one.environment]
    assert {one.name for one in senders} == {"worker", *(server.name for server in SERVERS)}
    for sender in senders:
        url = urlsplit(sender.environment["OTEL_EXPORTER_OTLP_ENDPOINT"])
        assert [one.name for one in found_by(sender, url.hostname or "")] == ["collector"]
        assert (url.scheme, url.port) == ("http", taken)
    (exporter,) = config["exporters"].values()
    host, _, _ = exporter["endpoint"].rpartition(":")
    assert [one.name for one in found_by(services()["collector"], host)] == ["jaeger"]
    for pipeline in config["service"]["pipelines"].values():
        for part in ("receivers", "processors", "exporters"):
            assert set(pipeline[part]) == config[part].keys()


def test_the_collector_refuses_before_it_is_killed() -> None:
    limit = services()["collector"].values["deploy"]["resources"]["limits"]["memory"]
    assert read("collector.yaml")["processors"]["memory_limiter"]["limit_mib"] < int(limit.removesuffix("M"))


def test_images_are_those_of_the_dockerfile() -> None:
    for service in services().values():
        if service.ours:
            context, target = service.values["build"]["context"], service.values["build"]["target"]
            assert (COMPOSE / context).resolve() == ROOT
            assert service.values["image"].partition(":")[0] == f"taskyard/taskyard-{target}"
            assert target in stages()


def test_the_worker_image_can_send_what_workers_are_told_to_send() -> None:
    assert worker_exporters(services()["worker"].environment) == {"otlp"}
    locked = (IMAGES / "worker.txt").read_text()
    assert all(f"opentelemetry-{name}==" in locked for name in ("sdk", "exporter-otlp-proto-grpc"))


def test_the_readme_speaks_of_what_is_there() -> None:
    text = (COMPOSE / "README.md").read_text()
    assert {int(number) for number in re.findall(r"localhost:(\d+)", text)} == set(PORTS.values())
    named = re.findall(r"docker compose (?:build|logs|ps|run|stop)((?: +[\w-]+)*)", text)
    words = {word for words in named for word in words.split() if not word.startswith("-")}
    assert {"worker", "taskyard", "valkey"} <= words <= {*services(), "cluster", "status"}
    named_by_docker = set(re.findall(r"docker kill taskyard-(\w+)-\d", text))
    assert named_by_docker == {"dispatcher"}
    assert f"workers of {services()['worker'].environment['TASKYARD_WORKER_SLOTS']} slots" in text
