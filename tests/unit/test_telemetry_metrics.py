"""What is counted, and how it reads in Prometheus' text and over OTLP."""

import threading
from bisect import bisect_left
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    Histogram,
    MetricExporter,
    MetricExportResult,
    MetricsData,
)
from prometheus_client.parser import text_string_to_metric_families

from taskyard_core.domain.task import Outcome, TaskError, TaskSpec, TaskState
from taskyard_core.domain.transitions import CANCELLED, DUE, REDRIVEN, RULES, Change, Runner, Transition
from taskyard_core.telemetry.distribution import SECONDS, Distribution
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.telemetry.gauges import LeaderReading, OutboxReading, QueueReading, SizeReading, SlotsReading
from taskyard_core.telemetry.histograms import PushedReader, families
from taskyard_core.telemetry.identity import Identity
from taskyard_core.telemetry.instruments import create_counters
from taskyard_core.telemetry.ledger import Ledger
from taskyard_core.telemetry.metrics import Metrics
from taskyard_core.telemetry.records import Claim
from taskyard_core.telemetry.tally import Tallies
from taskyard_core.telemetry.traces import Traces

LANE = "default/mail/demo.echo/5/io=ssd"
LABELS = {"namespace": "default", "queue": "mail", "type": "demo.echo"}
RUNNER = Runner("s-1", "w-1")

ABOUT_ATTEMPTS = {
    "taskyard.tasks.started",
    "taskyard.tasks.finished",
    "taskyard.tasks.requeued",
    "taskyard.task.retries",
    "taskyard.dead_letters",
    "taskyard.attempts.ended",
}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(metrics: Metrics) -> Samples:
    body, content_type = metrics.exposition()
    assert content_type.startswith("text/plain; version=0.0.4")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def end(target: TaskState, outcome: Outcome, ran: float | None = 0.2) -> Change:
    error = TaskError("Boom") if outcome is Outcome.FAILED else None
    rule = next(rule for rule in RULES if (rule.target, rule.outcome) == (target, outcome))
    transition = Transition("t", 1, rule, error=error, runner=RUNNER, ran=ran)
    return Change(transition, TaskState.RUNNING, target, LANE)


def test_counters_tell_what_happened() -> None:
    telemetry = Telemetry.silent()
    spec = TaskSpec("demo.echo", b"{}", queue="mail")
    telemetry.submitted(["a", "b"], [spec, spec])
    telemetry.deduplicated([spec])
    telemetry.claimed([Claim("a", 1, LANE, RUNNER, 0.3), Claim("b", 1, LANE, RUNNER, 0.3)])
    telemetry.changed(
        [
            end(TaskState.SUCCEEDED, Outcome.SUCCEEDED),
            end(TaskState.SCHEDULED, Outcome.FAILED),
            end(TaskState.FAILED, Outcome.FAILED),
            end(TaskState.FAILED, Outcome.TIMED_OUT),
            end(TaskState.QUEUED, Outcome.CRASHED, None),
            end(TaskState.QUEUED, Outcome.RELEASED),
        ]
    )
    telemetry.changed([Change(Transition("a", 1, REDRIVEN), TaskState.FAILED, TaskState.QUEUED, LANE)])
    telemetry.changed([Change(Transition("b", 1, CANCELLED), TaskState.QUEUED, TaskState.CANCELLED, LANE)])
    telemetry.refused("stale", 2)
    samples = scrape(telemetry.metrics)
    assert value(samples, "taskyard_tasks_submitted_total", **LABELS) == 2
    assert value(samples, "taskyard_tasks_deduplicated_total", **LABELS) == 1
    assert value(samples, "taskyard_tasks_started_total", **LABELS) == 2
    assert value(samples, "taskyard_tasks_finished_total", **LABELS, outcome="SUCCEEDED") == 1
    assert value(samples, "taskyard_tasks_finished_total", **LABELS, outcome="FAILED") == 2
    assert value(samples, "taskyard_tasks_finished_total", **LABELS, outcome="CANCELLED") == 1
    assert value(samples, "taskyard_attempts_ended_total", **LABELS, outcome="FAILED") == 2
    assert value(samples, "taskyard_attempts_ended_total", **LABELS, outcome="TIMED_OUT") == 1
    assert value(samples, "taskyard_task_retries_total", **LABELS) == 1
    assert value(samples, "taskyard_dead_letters_total", **LABELS) == 2
    assert value(samples, "taskyard_tasks_requeued_total", **LABELS, outcome="CRASHED") == 1
    assert value(samples, "taskyard_tasks_requeued_total", **LABELS, outcome="RELEASED") == 1
    assert value(samples, "taskyard_tasks_redriven_total", **LABELS) == 1
    assert value(samples, "taskyard_results_refused_total", reason="stale") == 2
    assert value(samples, "taskyard_schedule_to_start_seconds_count", **LABELS) == 2
    assert value(samples, "taskyard_task_run_seconds_count", **LABELS) == 5


def test_what_comes_of_attempts_counts_from_zero_with_the_first_that_is_started() -> None:
    telemetry = Telemetry.silent()
    telemetry.claimed([Claim("a", 1, LANE, RUNNER, 0.5)])
    samples = scrape(telemetry.metrics)
    for outcome in Outcome:
        assert value(samples, "taskyard_attempts_ended_total", **LABELS, outcome=str(outcome)) == 0
    for state in ("SUCCEEDED", "FAILED", "CANCELLED"):
        assert value(samples, "taskyard_tasks_finished_total", **LABELS, outcome=state) == 0
    for outcome in (Outcome.CRASHED, Outcome.RELEASED):
        assert value(samples, "taskyard_tasks_requeued_total", **LABELS, outcome=str(outcome)) == 0
    for name in ("taskyard_task_retries_total", "taskyard_dead_letters_total", "taskyard_task_run_seconds_count"):
        assert value(samples, name, **LABELS) == 0
    telemetry.changed([end(TaskState.QUEUED, Outcome.CRASHED, None)] * 20)
    assert value(scrape(telemetry.metrics), "taskyard_attempts_ended_total", **LABELS, outcome="CRASHED") == 20


def test_what_comes_of_submissions_counts_from_zero_with_the_first() -> None:
    telemetry = Telemetry.silent()
    telemetry.submitted(["a"], [TaskSpec("demo.echo", b"{}", queue="mail")])
    samples = scrape(telemetry.metrics)
    assert value(samples, "taskyard_tasks_deduplicated_total", **LABELS) == 0
    assert value(samples, "taskyard_tasks_redriven_total", **LABELS) == 0
    assert value(samples, "taskyard_tasks_finished_total", **LABELS, outcome="CANCELLED") == 0


def test_a_process_has_no_series_of_what_it_does_not_do() -> None:
    takes_in, runs, promotes = Telemetry.silent(), Telemetry.silent(), Telemetry.silent()
    takes_in.submitted(["a"], [TaskSpec("demo.echo", b"{}", queue="mail")])
    runs.claimed([Claim("a", 1, LANE, RUNNER, 0.5)])
    promotes.changed([Change(Transition("a", 0, DUE), TaskState.SCHEDULED, TaskState.QUEUED, LANE)])

    def of_kinds(telemetry: Telemetry) -> set[str]:
        return {name for name, labels in scrape(telemetry.metrics) if ("queue", "mail") in labels}

    words = ("submitted", "deduplicated", "redriven", "finished")
    assert of_kinds(takes_in) == {f"taskyard_tasks_{word}_total" for word in words}
    assert of_kinds(runs) & of_kinds(takes_in) == {"taskyard_tasks_finished_total"}
    assert of_kinds(promotes) == set()


def test_gauges_read_their_callbacks() -> None:
    telemetry = Telemetry.silent()
    gauges = telemetry.gauges
    gauges.queues = lambda: [QueueReading("default", "mail", {TaskState.QUEUED: 7, TaskState.RUNNING: 2}, 1.5)]
    gauges.sessions = lambda: 4
    gauges.slots = lambda: SlotsReading(40, 9)
    gauges.leader = lambda: LeaderReading(True, 12)
    gauges.outbox = lambda: OutboxReading(3, 0.25)
    gauges.etcd_size = lambda: SizeReading(20_000, 80_000)
    gauges.stores = lambda: {"postgres": True, "redis": False}
    samples = scrape(telemetry.metrics)
    assert value(samples, "taskyard_queue_depth", namespace="default", queue="mail", state="QUEUED") == 7
    assert value(samples, "taskyard_queue_oldest_age_seconds", namespace="default", queue="mail") == 1.5
    assert value(samples, "taskyard_sessions") == 4
    assert value(samples, "taskyard_slots") == 40
    assert value(samples, "taskyard_slots_busy") == 9
    assert value(samples, "taskyard_leader") == 1
    assert value(samples, "taskyard_leader_term") == 12
    assert value(samples, "taskyard_outbox_rows") == 3
    assert value(samples, "taskyard_etcd_size_bytes") == 20_000
    assert value(samples, "taskyard_etcd_quota_bytes") == 80_000
    assert value(samples, "taskyard_outbox_oldest_age_seconds") == 0.25
    assert value(samples, "taskyard_store_up", store="postgres") == 1
    assert value(samples, "taskyard_store_up", store="redis") == 0
    assert value(samples, "taskyard_event_loop_lag_seconds") == 0


def test_a_gauge_whose_callback_fails_does_not_spoil_the_others(caplog: pytest.LogCaptureFixture) -> None:
    telemetry = Telemetry.silent()

    def fail() -> int:
        raise LookupError("no sessions yet")

    telemetry.gauges.sessions = fail
    telemetry.gauges.slots = lambda: SlotsReading(1, 0)
    samples = scrape(telemetry.metrics)
    assert value(samples, "taskyard_slots") == 1
    assert ("taskyard_sessions", frozenset()) not in samples
    assert "no sessions yet" in caplog.text


@given(st.lists(st.one_of(st.floats(-1, 5000), st.sampled_from(SECONDS)), min_size=1))
def test_histograms_count_as_a_naive_one_does(values: list[float]) -> None:
    telemetry = Telemetry.silent()
    telemetry.claimed([Claim("t", 1, LANE, RUNNER, seconds) for seconds in values])
    telemetry.changed([end(TaskState.SUCCEEDED, Outcome.SUCCEEDED, seconds) for seconds in values])
    by_method = Distribution(SECONDS)
    for seconds in values:
        by_method.add(seconds)
    tally = telemetry.metrics.ledger.tallies.of_lane(LANE)
    assert tally.waited.counts == tally.ran.counts == by_method.counts
    samples = scrape(telemetry.metrics)
    clipped = [max(seconds, 0.0) for seconds in values]
    for name in ("taskyard_schedule_to_start_seconds", "taskyard_task_run_seconds"):
        for bound in SECONDS:
            naive = sum(seconds <= bound for seconds in clipped)
            assert value(samples, f"{name}_bucket", **LABELS, le=str(bound)) == naive
        assert value(samples, f"{name}_bucket", **LABELS, le="+Inf") == len(values)
        assert value(samples, f"{name}_count", **LABELS) == len(values)
        assert value(samples, f"{name}_sum", **LABELS) == pytest.approx(sum(clipped))


def test_group_commits_are_measured_by_statement() -> None:
    telemetry = Telemetry.silent()
    telemetry.committed("submit", 100, 0.004)
    telemetry.committed("submit", 1, 0.002)
    samples = scrape(telemetry.metrics)
    assert value(samples, "taskyard_commit_size_bucket", statement="submit", le="1.0") == 1
    assert value(samples, "taskyard_commit_size_bucket", statement="submit", le="100.0") == 2
    assert value(samples, "taskyard_commit_seconds_count", statement="submit") == 2


def test_more_kinds_of_tasks_than_the_sdk_allows_by_default_are_all_exported() -> None:
    metrics = Metrics(Identity("test", "p", "i"), {}, limit=3000)
    ledger = metrics.ledger
    for number in range(2500):
        ledger.claimed([Claim("t", 1, f"default/q/type{number}/5/", RUNNER, 0.1)])
    counted = [key for key in scrape(metrics) if key[0] == "taskyard_tasks_started_total"]
    assert len(counted) == 2500


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=100))
def test_labels_are_bounded_and_nothing_goes_uncounted(kinds: list[tuple[int, int]]) -> None:
    limit = 3
    tallies = Tallies(limit)
    for queue, kind in kinds:
        tallies.of_lane(f"default/q{queue}/t{kind}/5/").started += 1
        tallies.of("default", f"q{queue}", f"t{kind}").submitted += 1
    tallied = tallies.all()
    assert len(tallied) <= 2 * limit + 1
    assert len({tally.labels["queue"] for tally in tallied}) <= limit + 1
    assert len({tally.labels["type"] for tally in tallied}) <= limit + 1
    assert sum(tally.started for tally in tallied) == sum(tally.submitted for tally in tallied) == len(kinds)


class Collected(MetricExporter):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.data: list[MetricsData] = []

    def export(self, metrics_data: MetricsData, timeout_millis: float = 0, **kwargs: Any) -> MetricExportResult:
        self.data.append(metrics_data)
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 0) -> bool:
        return True

    def shutdown(self, timeout_millis: float = 0, **kwargs: Any) -> None: ...


def test_pushed_metrics_hold_counters_and_histograms() -> None:
    ledger = Ledger()
    exporter = Collected()
    reader = PushedReader(families(ledger), exporter)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    create_counters(provider.get_meter("test"), ledger)
    ledger.claimed([Claim("t", 1, LANE, RUNNER, 0.3)])
    reader.collect()
    provider.shutdown()
    scopes = exporter.data[0].resource_metrics[0].scope_metrics
    metrics = {metric.name: metric for scope in scopes for metric in scope.metrics}
    assert "taskyard.tasks.started" in metrics
    data = metrics["taskyard.schedule_to_start"].data
    assert isinstance(data, Histogram)
    assert data.data_points[0].count == 1
    assert data.data_points[0].bucket_counts[bisect_left(SECONDS, 0.3)] == 1


def test_otlp_encodes_counters_and_histograms() -> None:
    from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

    ledger = Ledger()
    exporter = Collected()
    reader = PushedReader(families(ledger), exporter)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    create_counters(provider.get_meter("test"), ledger)
    ledger.claimed([Claim("t", 1, LANE, RUNNER, 0.3)])
    ledger.committed("submit", 10, 0.2)
    reader.collect()
    provider.shutdown()
    (resource,) = encode_metrics(exporter.data[0]).resource_metrics
    names = {metric.name for scope in resource.scope_metrics for metric in scope.metrics}
    assert names == {
        *ABOUT_ATTEMPTS,
        "taskyard.log_lines.lost",
        "taskyard.schedule_to_start",
        "taskyard.task.run",
        "taskyard.commit.size",
        "taskyard.commit",
    }


async def test_closing_exports_what_is_left() -> None:
    assert await Telemetry.silent().close(timeout=30)


async def test_closing_does_not_wait_for_a_collector_that_is_away() -> None:
    silent = Telemetry.silent()
    released = threading.Event()

    class Stuck(Traces):
        def close(self) -> None:
            released.wait()

    telemetry = Telemetry(silent.metrics, Stuck(None), None, silent.lag)
    try:
        assert not await telemetry.close(timeout=0.01)
    finally:
        released.set()


def test_each_process_says_who_it_is() -> None:
    metrics = Metrics(Identity("dispatcher", "pod-7", "d-1"), {})
    target = next(dict(labels) for name, labels in scrape(metrics) if name == "target_info")
    assert target["service_name"] == "taskyard-dispatcher"
    assert target["k8s_pod_name"] == "pod-7"
    assert target["service_instance_id"] == "d-1"
