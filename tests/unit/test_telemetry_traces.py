"""Spans from submit to outcome."""

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from taskyard_core.domain.task import Outcome, TaskError, TaskState
from taskyard_core.domain.transitions import RULES, Change, Runner, Transition
from taskyard_core.telemetry.environment import exporters
from taskyard_core.telemetry.identity import Identity
from taskyard_core.telemetry.records import Claim
from taskyard_core.telemetry.traces import Traces, sampled

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
UNSAMPLED = f"00-{TRACE}-00f067aa0ba902b7-00"
LANE = "default/mail/demo.echo/5/"
RUNNER = Runner("s-1", "w-1")
NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000


class Recorded:
    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.traces = Traces(provider, lambda: NOW)

    def spans(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self._exporter.get_finished_spans()}


def end(outcome: Outcome, target: TaskState, traceparent: str | None) -> Change:
    error = TaskError("ValueError") if outcome is Outcome.FAILED else None
    rule = next(rule for rule in RULES if (rule.target, rule.outcome) == (target, outcome))
    transition = Transition("t-1", 1, rule, error=error, runner=RUNNER, ran=1.0)
    return Change(transition, TaskState.RUNNING, target, LANE, traceparent)


def trace_id(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}"


@pytest.mark.parametrize(
    ("traceparent", "expected"),
    [(PARENT, True), (UNSAMPLED, False), (None, False), ("", False), ("nonsense", False), (PARENT[:-1] + "3", True)],
)
def test_sampling_is_read_from_the_flags(traceparent: str | None, expected: bool) -> None:
    assert sampled(traceparent) is expected


def test_a_claim_records_the_time_in_the_queue_and_links_to_it() -> None:
    recorded = Recorded()
    recorded.traces.record_claims([Claim("t-1", 1, LANE, RUNNER, 2.0, PARENT)], took=0.5)
    spans = recorded.spans()
    queue, claim = spans["queue"], spans["claim"]
    assert trace_id(queue) == trace_id(claim) == TRACE
    assert (queue.start_time, queue.end_time) == (NOW - 2 * SECOND, NOW)
    assert (claim.start_time, claim.end_time) == (NOW - SECOND // 2, NOW)
    assert queue.parent is not None
    assert f"{queue.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert [link.context for link in claim.links] == [queue.get_span_context()]
    assert queue.attributes is not None
    assert queue.attributes["taskyard.task.type"] == "demo.echo"
    assert queue.attributes["messaging.message.id"] == "t-1"


def test_only_sampled_tasks_get_spans() -> None:
    recorded = Recorded()
    recorded.traces.record_claims([Claim("t", 1, LANE, RUNNER, 1.0, parent) for parent in (UNSAMPLED, None, "x")], 0)
    recorded.traces.record_outcomes([end(Outcome.SUCCEEDED, TaskState.SUCCEEDED, UNSAMPLED)], 0)
    assert recorded.spans() == {}


@pytest.mark.parametrize(
    ("outcome", "target", "status"),
    [
        (Outcome.SUCCEEDED, TaskState.SUCCEEDED, StatusCode.UNSET),
        (Outcome.RELEASED, TaskState.QUEUED, StatusCode.UNSET),
        (Outcome.FAILED, TaskState.SCHEDULED, StatusCode.ERROR),
        (Outcome.CRASHED, TaskState.QUEUED, StatusCode.ERROR),
    ],
)
def test_an_outcome_has_its_status(outcome: Outcome, target: TaskState, status: StatusCode) -> None:
    recorded = Recorded()
    recorded.traces.record_outcomes([end(outcome, target, PARENT)], took=0.25)
    span = recorded.spans()["outcome"]
    assert trace_id(span) == TRACE
    assert span.status.status_code is status
    assert span.start_time == NOW - SECOND // 4
    assert span.attributes is not None
    assert span.attributes["taskyard.attempt.outcome"] == str(outcome)


def test_a_submission_continues_the_submitters_trace() -> None:
    recorded = Recorded()
    with recorded.traces.submission(PARENT) as traceparent:
        assert traceparent == PARENT
    span = recorded.spans()["submit"]
    assert trace_id(span) == TRACE
    assert span.kind is SpanKind.SERVER


@pytest.mark.parametrize("given", [None, ""])
def test_a_submission_without_a_trace_begins_one(given: str | None) -> None:
    recorded = Recorded()
    with recorded.traces.submission(given) as traceparent:
        pass
    span = recorded.spans()["submit"]
    assert span.kind is SpanKind.PRODUCER
    assert traceparent is not None
    assert traceparent[3:35] == trace_id(span)
    assert sampled(traceparent)
    recorded.traces.record_outcomes([end(Outcome.SUCCEEDED, TaskState.SUCCEEDED, traceparent)], 0)
    assert trace_id(recorded.spans()["outcome"]) == trace_id(span)


def test_a_submission_that_fails_is_recorded_and_raises() -> None:
    recorded = Recorded()
    with pytest.raises(LookupError), recorded.traces.submission(None):
        raise LookupError("no")
    assert recorded.spans()["submit"].status.status_code is StatusCode.ERROR


def test_nothing_happens_unless_the_environment_asks_for_it() -> None:
    traces = Traces.from_environment(Identity("dispatcher", "p", "d"), {})
    assert not traces.enabled
    traces.record_claims([Claim("t", 1, LANE, RUNNER, 1.0, PARENT)], 0)
    with traces.submission(None) as traceparent:
        assert traceparent is None
    traces.close()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, set()),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, set()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317"}, {"otlp"}),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4317"}, {"otlp"}),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c:4317"}, set()),
        ({"OTEL_TRACES_EXPORTER": "otlp, console"}, {"otlp", "console"}),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"}, set()),
    ],
)
def test_the_environment_names_the_exporters(variables: dict[str, str], expected: set[str]) -> None:
    assert exporters("TRACES", variables) == expected
