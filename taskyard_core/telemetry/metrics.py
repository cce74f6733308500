"""A process's metrics: OpenTelemetry's SDK with a Prometheus endpoint, and OTLP if asked for."""

import logging
from collections.abc import Mapping
from threading import Lock

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from taskyard_core.telemetry import environment, histograms, instruments, resource
from taskyard_core.telemetry.exposition import HistogramText
from taskyard_core.telemetry.gauges import Gauges
from taskyard_core.telemetry.histograms import CARDINALITY, Family, PushedReader
from taskyard_core.telemetry.identity import Identity
from taskyard_core.telemetry.ledger import Ledger

_log = logging.getLogger(__name__)


class Metrics:
    """What is counted (`ledger`), what is read at a scrape (`gauges`), and both in Prometheus' text format."""

    def __init__(self, identity: Identity, variables: Mapping[str, str], limit: int = 1000) -> None:
        self.ledger = Ledger(limit)
        self.gauges = Gauges()
        self._registry = CollectorRegistry()
        self._lock = Lock()
        families = histograms.families(self.ledger)
        self._histograms = HistogramText(families)
        scraped = _Scraped(scope_info_enabled=False, registry=self._registry, cardinality_limits=CARDINALITY)
        readers: list[MetricReader] = [scraped, *_pushed(families, variables)]
        self._provider = MeterProvider(readers, resource.describe(identity), shutdown_on_exit=False)
        meter = self._provider.get_meter("taskyard")
        instruments.create_counters(meter, self.ledger)
        instruments.create_gauges(meter, self.gauges)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._registry)

    def exposition(self) -> tuple[bytes, str]:
        """Body and content type for `/metrics`; takes milliseconds, so a busy loop asks from a thread."""
        with self._lock:
            return generate_latest(self._registry) + self._histograms.render().encode(), CONTENT_TYPE_PLAIN_0_0_4

    def close(self) -> None:
        """Export what is left and stop; blocks for as long as the exporters need."""
        self._provider.shutdown()


class _Scraped(PrometheusMetricReader):
    """Takes the time that it needs: a scrape of a busy process is late rather than an error."""

    # Final for callers that override to collect otherwise; the exporter gives its caller no say in the time.
    def collect(self, timeout_millis: float = 60_000) -> None:  # type: ignore[misc]
        super().collect(timeout_millis)


def _pushed(families: list[Family], variables: Mapping[str, str]) -> list[MetricReader]:
    wanted = environment.exporters("METRICS", variables) - {"prometheus"}
    for unknown in wanted - {"otlp"}:
        _log.warning("OTEL_METRICS_EXPORTER names an exporter that is not built in", extra={"exporter": unknown})
    if "otlp" not in wanted:
        return []
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

    return [PushedReader(families, OTLPMetricExporter())]
