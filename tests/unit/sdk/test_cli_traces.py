"""`taskyard worker run` sends traces if the environment asks for it, and never waits long for whoever takes them."""

import asyncio
import os
import sys
import threading
from pathlib import Path

import pytest
from opentelemetry import trace

from taskyard.cli import traces
from taskyard_core.telemetry import environment as of_servers
from tests.otlp import collecting
from tests.unit.sdk.stub_dispatcher import PATIENCE

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
JOBS = """
from opentelemetry import trace
from taskyard.worker import Worker

tracer = trace.get_tracer("jobs")  # before there is anybody who records


class Working(Worker):
    def run(self):
        with tracer.start_as_current_span("work"):
            pass


worker = Working()
"""


async def run_worker(folder: Path, variables: dict[str, str]) -> tuple[int | None, str]:
    """The code with which a worker of JOBS ends, and what it said."""
    (folder / "jobs.py").write_text(JOBS)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "taskyard.cli", "worker", "run", "jobs:worker"),
        cwd=folder,
        env=inherited | variables,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_what_it_did_is_sent_before_it_ends(tmp_path: Path) -> None:
    async with collecting() as (collector, endpoint):
        assert await run_worker(tmp_path, {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}) == (0, "")
    (span,) = collector.spans
    assert span.name == "work"
    assert (span.resource["service.name"], span.resource["service.namespace"]) == ("taskyard-worker", "taskyard")
    assert span.resource["service.instance.id"]


async def test_the_variables_of_opentelemetry_win(tmp_path: Path) -> None:
    own = {
        "OTEL_SERVICE_NAME": "mail",
        "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=mail-1,service.instance.id=one",
    }
    async with collecting() as (collector, endpoint):
        assert await run_worker(tmp_path, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": endpoint, **own}) == (0, "")
        quiet = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "always_off"}
        assert await run_worker(tmp_path, quiet) == (0, "")
    (span,) = collector.spans
    assert span.resource["service.name"] == "mail"
    assert (span.resource["k8s.pod.name"], span.resource["service.instance.id"]) == ("mail-1", "one")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, set()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, set()),
        (ENDPOINT, {"otlp"}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4317"}, {"otlp"}),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4317"}, set()),
        ({"OTEL_TRACES_EXPORTER": "none", **ENDPOINT}, set()),
        ({"OTEL_TRACES_EXPORTER": "OTLP, console"}, {"otlp", "console"}),
        ({"OTEL_SDK_DISABLED": "True", **ENDPOINT}, set()),
    ],
)
def test_workers_read_the_variables_as_servers_do(variables: dict[str, str], expected: set[str]) -> None:
    assert traces.exporters(variables) == of_servers.exporters("TRACES", variables) == expected


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> list[trace.TracerProvider]:
    """Those that were set, of which a process has only one for good."""
    found: list[trace.TracerProvider] = []
    monkeypatch.setattr(trace, "set_tracer_provider", found.append)
    return found


def test_a_missing_extra_is_named_and_the_worker_runs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, providers: list[trace.TracerProvider]
) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.grpc.trace_exporter", None)
    with traces.traced(ENDPOINT):
        assert not providers
    assert "no traces are sent" in caplog.text
    assert "`pip install taskyard[otlp]`" in caplog.text


def test_an_exporter_that_is_not_built_in_is_named(
    caplog: pytest.LogCaptureFixture, providers: list[trace.TracerProvider]
) -> None:
    with traces.traced({"OTEL_TRACES_EXPORTER": "zipkin"}):
        assert len(providers) == 1
    assert "not built in: zipkin" in caplog.text


def test_what_the_application_has_set_up_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, providers: list[trace.TracerProvider]
) -> None:
    monkeypatch.setattr(trace, "get_tracer_provider", trace.NoOpTracerProvider)
    with traces.traced(ENDPOINT):
        assert not providers


def test_nothing_is_set_up_unless_it_is_asked_for(providers: list[trace.TracerProvider]) -> None:
    with traces.traced({}):
        assert not providers


def test_a_collector_that_is_away_does_not_hold_up_the_end(caplog: pytest.LogCaptureFixture) -> None:
    reached, ended = threading.Event(), threading.Event()

    def shutdown() -> None:
        reached.wait()
        ended.set()

    traces._close(shutdown, within=0.05)
    assert not ended.is_set()
    assert "could not be sent within 0.05 s" in caplog.text
    reached.set()
    assert ended.wait(PATIENCE)
