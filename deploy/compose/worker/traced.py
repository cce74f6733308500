"""The demo worker, traced: what it runs appears in the traces of those who submitted it.

Where spans go and how they are sampled is for OpenTelemetry's own variables to say: OTEL_EXPORTER_OTLP_ENDPOINT,
OTEL_TRACES_SAMPLER, OTEL_SERVICE_NAME.
"""

import socket

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from taskyard.demo import worker

__all__ = ["worker"]

provider = TracerProvider(resource=Resource.create({"service.instance.id": socket.gethostname()}))
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
