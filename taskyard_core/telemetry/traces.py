"""Spans from submit to outcome, for tasks whose submitter's trace is sampled."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter
from opentelemetry.trace import Link, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from taskyard_core.domain import lanes
from taskyard_core.domain.task import Outcome
from taskyard_core.domain.transitions import Change, Runner
from taskyard_core.telemetry import environment, resource
from taskyard_core.telemetry.identity import Identity
from taskyard_core.telemetry.records import Claim

_log = logging.getLogger(__name__)
_ODD = frozenset("13579bdf")
_NANOSECONDS = 1e9
_ERRORS = frozenset({Outcome.FAILED, Outcome.CRASHED, Outcome.TIMED_OUT})


def sampled(traceparent: str | None) -> bool:
    """Whether the flags of a W3C traceparent say so."""
    return traceparent is not None and traceparent[54:55] in _ODD


class Traces:
    """Records spans; without a provider everything is a no-op."""

    def __init__(self, provider: TracerProvider | None, clock: Callable[[], int] = time.time_ns) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("taskyard") if provider else trace.NoOpTracer()
        self._propagator = TraceContextTextMapPropagator()
        self._clock = clock
        self.enabled = provider is not None

    @classmethod
    def from_environment(cls, identity: Identity, variables: Mapping[str, str]) -> "Traces":
        """With the exporters that OTEL_* asks for; off if it asks for none."""
        exporters = list(_exporters(variables))
        if not exporters:
            return cls(None)
        provider = TracerProvider(resource=resource.describe(identity), shutdown_on_exit=False)
        for exporter in exporters:
            provider.add_span_processor(BatchSpanProcessor(exporter))
        return cls(provider)

    def submission(self, traceparent: str | None) -> AbstractContextManager[str | None]:
        """A span around a submission; gives the traceparent for tasks that bring none of their own.

        That is the submitter's if there is one, else the span's, else None.
        """
        return self._submission(traceparent) if self.enabled else nullcontext(traceparent)

    def record_claims(self, claims: Iterable[Claim], took: float) -> None:
        """A `queue` and a `claim` span for each task; claiming them took that many seconds until now."""
        if not self.enabled:
            return
        chosen = [claim for claim in claims if sampled(claim.traceparent)]
        now = self._clock()
        for claim in chosen:
            self._record_claim(claim, now, now - int(took * _NANOSECONDS))

    def record_outcomes(self, changes: Iterable[Change], took: float) -> None:
        """An `outcome` span for each attempt that ended; storing that took that many seconds until now."""
        if not self.enabled:
            return
        chosen = [change for change in changes if change.transition.runner and sampled(change.traceparent)]
        now = self._clock()
        for change in chosen:
            self._record_outcome(change, now, now - int(took * _NANOSECONDS))

    def close(self) -> None:
        """Export what is left and stop; blocks for as long as the exporters need."""
        if self._provider is not None:
            self._provider.shutdown()

    @contextmanager
    def _submission(self, traceparent: str | None) -> Iterator[str | None]:
        # The root of a trace is where the message comes from; below a submitter's span this is the server's side.
        kind = SpanKind.SERVER if traceparent else SpanKind.PRODUCER
        with self._tracer.start_as_current_span("submit", self._context(traceparent), kind) as span:
            yield traceparent or _traceparent(span.get_span_context())

    def _record_claim(self, claim: Claim, now: int, began: int) -> None:
        context = self._context(claim.traceparent)
        attributes = _attributes(claim.id, claim.attempt, claim.lane, claim.runner)
        ready = now - int(claim.waited * _NANOSECONDS)
        queue = self._tracer.start_span("queue", context, attributes=attributes, start_time=ready)
        queue.end(now)
        links = [Link(queue.get_span_context())]
        span = self._tracer.start_span(
            "claim", context, SpanKind.CONSUMER, attributes, links, start_time=max(began, ready)
        )
        span.end(now)

    def _record_outcome(self, change: Change, now: int, began: int) -> None:
        transition, outcome = change.transition, change.transition.rule.outcome
        assert transition.runner is not None
        attributes = _attributes(transition.id, transition.attempt, change.lane, transition.runner)
        attributes["taskyard.task.state"] = str(change.target)
        attributes["taskyard.attempt.outcome"] = str(outcome)
        span = self._tracer.start_span(
            "outcome", self._context(change.traceparent), attributes=attributes, start_time=began
        )
        if outcome in _ERRORS:
            reason = transition.error.type if transition.error else str(outcome)
            span.set_status(Status(StatusCode.ERROR, reason))
        span.end(now)

    def _context(self, traceparent: str | None) -> Context:
        # An empty context to begin with: what happens to run around this call is not the task's parent.
        return self._propagator.extract({"traceparent": traceparent or ""}, Context())


def _exporters(variables: Mapping[str, str]) -> Iterator[SpanExporter]:
    for name in sorted(environment.exporters("TRACES", variables)):
        if name == "otlp":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

            yield OTLPSpanExporter()
        elif name == "console":
            yield ConsoleSpanExporter()
        else:
            _log.warning("OTEL_TRACES_EXPORTER names an exporter that is not built in", extra={"exporter": name})


def _attributes(id: str, attempt: int, lane_name: str, runner: Runner) -> dict[str, str | int]:
    lane = lanes.told(lane_name)
    return {
        "messaging.system": "taskyard",
        "messaging.destination.name": lane.queue,
        "messaging.message.id": id,
        "taskyard.namespace": lane.namespace,
        "taskyard.task.type": lane.type,
        "taskyard.task.attempt": attempt,
        "taskyard.worker": runner.worker,
        "taskyard.session": runner.session,
    }


def _traceparent(context: trace.SpanContext) -> str | None:
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
