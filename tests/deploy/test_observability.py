"""Dashboards, rules and runbooks speak of what there is: of metrics that are exported, and of each other."""

import asyncio
import json
import re
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
import yaml

from deploy.dashboards import boards
from deploy.dashboards.__main__ import FOLDER, text
from taskyard.models import TaskState
from taskyard.worker import NonRetryable, Worker
from tests.deploy.chart import CHART, ROOT
from tests.deploy.prometheus import PROGRAMS, prometheus, promtool
from tests.e2e.dev_cluster import DevCluster, dev_cluster
from tests.e2e.eventually import eventually

RULES = CHART / "files" / "rules"
RUNBOOKS = ROOT / "docs" / "runbooks"
TESTS = Path(__file__).parent / "rules"
SEVERITIES = {"critical", "warning"}
METRIC = re.compile(r"\b(?:taskyard|process)_[a-z_]+\b")
SOON = 60.0

needs_prometheus = pytest.mark.skipif(
    not PROGRAMS.exists(), reason="no Prometheus in .tools: `make verify-deploy` gets it where apt is"
)


def groups(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(path.read_text())["groups"]
    return found


def rules() -> Iterator[dict[str, Any]]:
    """Every rule of the chart."""
    for path in sorted(RULES.glob("*.yaml")):
        for group in groups(path):
            yield from group["rules"]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def objectives() -> str:
    """The rules that docs/slo.md shows."""
    (block,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "slo.md").read_text(), re.DOTALL)
    return str(block)


def panels() -> Iterator[tuple[str, str]]:
    """Every expression of the dashboards, with where it is."""
    for path in sorted(FOLDER.glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                yield f"{path.stem}: {panel['title']}", target["expr"]


def variables() -> Iterator[str]:
    """What the choices of the dashboards are read from."""
    for path in FOLDER.glob("*.json"):
        for variable in json.loads(path.read_text())["templating"]["list"]:
            if variable["type"] == "query":
                yield variable["query"]["query"]


def named(expression: str) -> set[str]:
    """The metrics that an expression reads; what rules record has a colon before it."""
    return set(METRIC.findall(re.sub(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", "", expression)))


def test_dashboards_are_what_their_source_gives() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(boards.ALL)
    for name in boards.ALL:
        assert (FOLDER / f"{name}.json").read_text() == text(name), "run `make dashboards`"


def test_panels_have_names_of_their_own() -> None:
    for name in boards.ALL:
        ids = [panel["id"] for panel in json.loads(text(name))["panels"]]
        assert len(ids) == len(set(ids))
    assert len({board.uid for board in boards.ALL.values()}) == len(boards.ALL)


def test_each_alert_says_how_bad_it_is_and_where_to_read_on() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in SEVERITIES
        assert alert["annotations"]["summary"]
        url = urlsplit(alert["annotations"]["runbook_url"])
        assert (url.scheme, Path(url.path).name) == ("https", f"{alert['alert']}.md")


def test_each_alert_has_a_runbook_and_each_runbook_an_alert() -> None:
    names = {alert["alert"] for alert in alerts()}
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {*names, "README"}
    index = (RUNBOOKS / "README.md").read_text()
    for alert in alerts():
        name = alert["alert"]
        headings = re.findall(r"^#+ (.+)$", (RUNBOOKS / f"{name}.md").read_text(), re.MULTILINE)
        assert headings == [name, "Meaning", "Impact", "Look", "Do"]
        assert f"| [{name}]({name}.md) | {alert['labels']['severity']} |" in index


@needs_prometheus
def test_promtool_accepts_all_rules(tmp_path: Path) -> None:
    example = tmp_path / "slo.yaml"
    example.write_text(objectives())
    promtool("check", "rules", "--lint=all", "--lint-fatal", *sorted(RULES.glob("*.yaml")), example)


@needs_prometheus
@pytest.mark.parametrize("name", ["alerts", "recording"])
def test_rules_find_what_they_are_for(tmp_path: Path, name: str) -> None:
    shutil.copy(RULES / f"{name}.yaml", tmp_path)
    shutil.copy(TESTS / f"{name}.yaml", tmp_path / "tests.yaml")
    promtool("test", "rules", tmp_path / "tests.yaml")


def test_each_rule_file_and_each_alert_has_a_test() -> None:
    assert {path.name for path in TESTS.glob("*.yaml")} == {path.name for path in RULES.glob("*.yaml")}
    cases = yaml.safe_load((TESTS / "alerts.yaml").read_text())["tests"]
    expected = [
        (check["alertname"], bool(check.get("exp_alerts"))) for case in cases for check in case["alert_rule_test"]
    ]
    for alert in alerts():
        assert {(alert["alert"], True), (alert["alert"], False)} <= set(expected)


@dataclass
class Stage:
    """A cluster on which everything that is counted has happened, and where its processes are scraped."""

    cluster: DevCluster
    targets: dict[str, list[str]]

    async def names(self) -> set[str]:
        """The names of all samples in all scrapes."""
        found: set[str] = set()
        async with httpx.AsyncClient(timeout=30) as http:
            for address in (address for addresses in self.targets.values() for address in addresses):
                lines = (await http.get(f"http://{address}/metrics")).text.splitlines()
                found |= {re.split(r"[{ ]", line)[0] for line in lines if line and not line.startswith("#")}
        return found


def worker(address: str, **options: Any) -> Worker:
    made = Worker(address, http_address="127.0.0.1:0", name="watched", **options)

    @made.task("ok")
    async def ok(payload: object) -> object:
        return payload

    @made.task("fail")
    async def fail(payload: str) -> None:
        raise NonRetryable("never") if payload == "never" else RuntimeError("not yet")

    @made.task("wait")
    async def wait(_payload: object) -> None:
        await asyncio.Event().wait()

    return made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("observed") / "cluster"
    async with AsyncExitStack() as stack:
        cluster = await stack.enter_async_context(
            dev_cluster(directory, "--schedulers", "1", "--dispatchers", "1", "--workers", "0")
        )
        (scheduler,), (dispatcher,) = cluster.pids("scheduler"), cluster.pids("dispatcher")
        sessions = cluster.addresses(dispatcher)["session"]
        await hand_back(cluster, sessions)
        lasting = worker(sessions)
        serving = asyncio.create_task(lasting.serve())

        async def stop() -> None:
            lasting.stop()
            await serving

        stack.push_async_callback(stop)
        await work(cluster)
        hosts = {
            "scheduler": urlsplit(cluster.addresses(scheduler)["rest"]).netloc,
            "dispatcher": urlsplit(cluster.addresses(dispatcher)["http"]).netloc,
            "worker": f"127.0.0.1:{lasting.status_port}",
        }
        yield Stage(cluster, {job: [host] for job, host in hosts.items()})


async def hand_back(cluster: DevCluster, address: str) -> None:
    """Has a worker give a running task back, and cancels it."""
    leaving = worker(address, grace=0.0)
    serving = asyncio.create_task(leaving.serve())
    task = await cluster.client.submit("wait")

    async def in_state(state: TaskState) -> bool:
        return (await cluster.client.get(task.id)).state is state

    await eventually(lambda: in_state(TaskState.RUNNING), within=SOON)
    leaving.stop()
    await serving
    await eventually(lambda: in_state(TaskState.QUEUED), within=SOON)
    await cluster.client.cancel(task.id)


async def work(cluster: DevCluster) -> None:
    """One task of each fate."""
    submit = cluster.client.submit
    again = [await submit("ok", 1, idempotency_key="k") for _ in range(2)]
    await again[0].result()
    lost = await submit("fail", "never")
    retried = await submit("fail", "not yet")

    async def happened() -> bool:
        found = [await cluster.client.get(task.id) for task in (lost, retried)]
        return found[0].state is TaskState.FAILED and found[1].failures > 0

    await eventually(happened, within=SOON)


async def test_every_metric_that_is_named_is_exported(stage: Stage) -> None:
    expressions = dict(panels()) | {f"variable {query}": query for query in variables()}
    expressions |= {f"rule {rule.get('alert', rule.get('record'))}": rule["expr"] for rule in rules()}
    expressions["docs/slo.md"] = objectives()
    wanted = {name: where for where, expression in expressions.items() for name in named(expression)}
    assert len(wanted) > 30

    async def missing() -> dict[str, str]:
        exported = await stage.names()
        return {name: where for name, where in wanted.items() if name not in exported}

    async def complete() -> bool:
        return not await missing()

    # What is observed now and then is there after a few seconds.
    try:
        await eventually(complete, within=15, every=0.5)
    except AssertionError:
        pytest.fail(f"not exported: {await missing()}")


def immediate(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rules, that wait for nothing."""
    return [{**group, "rules": [{**rule, "for": "0s"} if "alert" in rule else rule for rule in group["rules"]]}
            for group in found]  # fmt: skip


@needs_prometheus
async def test_a_real_prometheus_fills_every_panel_and_its_alerts_fire(stage: Stage, tmp_path: Path) -> None:
    every = [group for path in sorted(RULES.glob("*.yaml")) for group in groups(path)]
    async with prometheus(tmp_path / "prometheus", stage.targets, immediate(every)) as server:
        expressions = {
            where: re.sub(r"\$__rate_interval", "30s", re.sub(r"\$(namespace|queue|instance)", ".*", expression))
            for where, expression in panels()
        }
        expressions |= {rule["record"]: rule["record"] for rule in rules() if "record" in rule}

        async def filled() -> bool:
            found = {where: await server.query(expression) for where, expression in expressions.items()}
            empty[:] = [where for where, series in found.items() if not series]
            return not empty

        empty: list[str] = []
        try:
            await eventually(filled, within=SOON, every=1)
        except AssertionError:
            pytest.fail(f"nothing to show: {empty}")
        assert not await server.firing()
        for part, alert in (("dispatcher-1", "TaskyardNoLeader"), ("redis", "TaskyardStoreDown")):

            async def fires(alert: str = alert) -> bool:
                return alert in await server.firing()

            async def ends(alert: str = alert) -> bool:
                return alert not in await server.firing()

            stage.cluster.signal(part, signal.SIGSTOP)
            try:
                await eventually(fires, within=SOON, every=0.5)
            finally:
                stage.cluster.signal(part, signal.SIGCONT)
            await eventually(ends, within=SOON, every=0.5)
