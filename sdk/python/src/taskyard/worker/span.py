"""A trace span per attempt, for attempts whose submitter is being traced."""

from collections.abc import Iterator
from contextlib import contextmanager

from taskyard.worker.context import Context

_FLAGS_AT = 53  # 00-<32 hex>-<16 hex>-<flags>
_SAMPLED = 1


def is_sampled(traceparent: str) -> bool:
    """Whether a W3C traceparent has the sampled flag."""
    try:
        return bool(int(traceparent[_FLAGS_AT : _FLAGS_AT + 2], 16) & _SAMPLED)
    except ValueError:
        return False


@contextmanager
def attempt_span(context: Context) -> Iterator[None]:
    """A span around the handler, child of the submitter's, if that one is sampled; else nothing.

    Only OpenTelemetry's API is used: without an SDK configured by the application the span records nothing.
    """
    if not is_sampled(context.traceparent):
        yield
        return
    # Imported late: most workers never see a sampled trace.
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract({"traceparent": context.traceparent})
    with trace.get_tracer("taskyard.worker").start_as_current_span(
        f"run {context.type}",
        context=parent,
        kind=trace.SpanKind.CONSUMER,
        attributes={
            "taskyard.task.id": context.task_id,
            "taskyard.task.attempt": context.attempt,
            "taskyard.task.type": context.type,
            "taskyard.queue": context.queue,
        },
    ):
        yield
