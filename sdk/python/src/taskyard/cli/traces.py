"""Traces of the worker that the command line runs, sent if OpenTelemetry's own variables ask for it.

Workers need OpenTelemetry's API only; what records and sends is the extra `taskyard[otlp]`.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import trace

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter

FLUSH_TIME = 3.0
"""Seconds that the last spans get to be sent."""

_log = logging.getLogger(__name__)


@contextmanager
def traced(environment: Mapping[str, str] = os.environ) -> Iterator[None]:
    """Record and send spans meanwhile, if the environment asks for it and the application has set up nothing itself."""
    provider = _provider(exporters(environment))
    if provider is None:
        yield
        return
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        _close(provider.shutdown, FLUSH_TIME)


def exporters(environment: Mapping[str, str]) -> frozenset[str]:
    """Names of the exporters that the environment asks for.

    OTEL_TRACES_EXPORTER names them; without it an OTLP endpoint alone asks for "otlp". OTEL_SDK_DISABLED switches all
    off.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return frozenset()
    named = environment.get("OTEL_TRACES_EXPORTER", "").strip()
    if named:
        return frozenset(name.strip().lower() for name in named.split(",")) - {"none", ""}
    endpoint = environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return frozenset({"otlp"}) if endpoint else frozenset()


def _provider(names: frozenset[str]) -> "TracerProvider | None":
    if not names or not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return None
    try:
        return _make_provider(names)
    except ImportError as error:
        _log.warning("no traces are sent, although OTEL_* asks for them: `pip install taskyard[otlp]` (%s)", error)
        return None


def _make_provider(names: frozenset[str]) -> "TracerProvider":
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    own = {
        "service.namespace": "taskyard",
        "service.name": "taskyard-worker",
        "service.instance.id": f"{socket.gethostname()}-{os.getpid()}",
    }
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
    resource = Resource.create(own).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    for exporter in _make_exporters(names):
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _make_exporters(names: frozenset[str]) -> "Iterator[SpanExporter]":
    for name in sorted(names):
        if name == "otlp":
            from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

            yield OTLPSpanExporter()
        elif name == "console":
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter

            yield ConsoleSpanExporter()
        else:
            _log.warning("OTEL_TRACES_EXPORTER names an exporter that is not built in: %s", name)


def _close(shutdown: Callable[[], None], within: float) -> None:
    # A collector that is away must not hold up a worker that ends.
    closing = threading.Thread(target=shutdown, name="taskyard-traces", daemon=True)
    closing.start()
    closing.join(within)
    if closing.is_alive():
        _log.warning("the last spans could not be sent within %g s", within)
