"""A trace span per attempt, for attempts whose submitter is being traced."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from taskyard.worker.context import Context
from taskyard.worker.journal import logger

_Span = AbstractContextManager[object]

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

    Only OpenTelemetry's API is used: without an SDK configured by the application the span records nothing. What the
    application's own processors raise is logged and does not touch the attempt.
    """
    span = _entered(context) if is_sampled(context.traceparent) else None
    try:
        yield
    except BaseException as error:
        _leave(span, error)
        raise
    _leave(span, None)


def _entered(context: Context) -> _Span | None:
    try:
        # Imported late: most workers never see a sampled trace.
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract({"traceparent": context.traceparent})
        span = trace.get_tracer("taskyard.worker").start_as_current_span(
            f"run {context.type}",
            context=parent,
            kind=trace.SpanKind.CONSUMER,
            attributes={
                "taskyard.task.id": context.task_id,
                "taskyard.task.attempt": context.attempt,
                "taskyard.task.type": context.type,
                "taskyard.queue": context.queue,
            },
        )
        span.__enter__()
    except BaseException as error:
        _complain(error)
        return None
    return span


def _leave(span: _Span | None, error: BaseException | None) -> None:
    if span is None:
        return
    try:
        span.__exit__(None if error is None else type(error), error, None if error is None else error.__traceback__)
    except BaseException as broken:
        if broken is not error:
            _complain(broken)


def _complain(error: BaseException) -> None:
    logger.warning("tracing failed: %s", type(error).__name__)
