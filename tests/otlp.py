"""A collector of OpenTelemetry in the test's own process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as wire
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as services_of_wire

LOOPBACK = "127.0.0.1"

Attributes = dict[str, str | int]


@dataclass(frozen=True)
class Span:
    """What came of a span, and who sent it."""

    trace: str
    name: str
    attributes: Attributes
    resource: Attributes


class Collector(services_of_wire.TraceServiceServicer):
    """Takes spans over OTLP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    async def Export(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name for it
        """Notes what came."""
        for sender in request.resource_spans:
            resource = _attributes(sender.resource.attributes)
            for span in (span for scope in sender.scope_spans for span in scope.spans):
                self.spans.append(Span(span.trace_id.hex(), span.name, _attributes(span.attributes), resource))
        return wire.ExportTraceServiceResponse()


@asynccontextmanager
async def collecting() -> AsyncIterator[tuple[Collector, str]]:
    """A collector and where it is."""
    server, collector = grpc.aio.server(), Collector()
    services_of_wire.add_TraceServiceServicer_to_server(collector, server)  # type: ignore[no-untyped-call]
    port = server.add_insecure_port(f"{LOOPBACK}:0")
    await server.start()
    try:
        yield collector, f"http://{LOOPBACK}:{port}"
    finally:
        await server.stop(0)


def _attributes(pairs: Any) -> Attributes:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
