"""The trace that a submit belongs to."""

from opentelemetry import trace


def traceparent() -> str:
    """W3C trace context of the current span; empty if there is none."""
    span = trace.get_current_span()
    if span is trace.INVALID_SPAN:
        return ""
    context = span.get_span_context()
    if not context.is_valid:
        return ""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
