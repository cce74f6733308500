"""The histograms, as OpenTelemetry's data points, and the readers that add them to what the SDK collected."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    PeriodicExportingMetricReader,
    ScopeMetrics,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import CollectorRegistry

from scheduler.telemetry.distribution import Distribution
from scheduler.telemetry.ledger import Ledger
from scheduler.telemetry.limits import CARDINALITY

_Series = Iterable[tuple[Mapping[str, str], Distribution]]


class Histograms:
    """The ledger's distributions as metrics, cumulative since `started_ns`."""

    def __init__(self, ledger: Ledger, scope: InstrumentationScope) -> None:
        self._ledger = ledger
        self._scope = scope
        self._started_ns = time.time_ns()

    def added_to(self, data: MetricsData) -> MetricsData:
        """The same data with a scope more that holds the histograms."""
        scope = ScopeMetrics(self._scope, list(self._metrics()), "")
        first, *others = data.resource_metrics
        return MetricsData([replace(first, scope_metrics=[*first.scope_metrics, scope]), *others])

    def _metrics(self) -> Iterator[Metric]:
        tallies = self._ledger.tallies.all()
        waited: _Series = ((tally.labels, tally.waited) for tally in tallies)
        yield from self._metric("taskyard.schedule_to_start", "From when a task could run to its start", "s", waited)
        ran: _Series = ((tally.labels, tally.ran) for tally in tallies)
        yield from self._metric("taskyard.task.run", "How long attempts ran", "s", ran)
        sizes: _Series = (({"statement": name}, size) for name, size in list(self._ledger.commit_sizes.items()))
        yield from self._metric("taskyard.commit.size", "Tasks in one group commit", "{task}", sizes)
        times: _Series = (({"statement": name}, took) for name, took in list(self._ledger.commit_seconds.items()))
        yield from self._metric("taskyard.commit", "How long group commits took", "s", times)

    def _metric(self, name: str, description: str, unit: str, series: _Series) -> Iterator[Metric]:
        now = time.time_ns()
        points = [self._point(labels, distribution, now) for labels, distribution in series]
        if points := [point for point in points if point.count]:
            yield Metric(name, description, unit, Histogram(points, AggregationTemporality.CUMULATIVE))

    def _point(self, labels: Mapping[str, str], distribution: Distribution, now: int) -> HistogramDataPoint:
        # One copy first: the count must be that of the same moment as the buckets, whichever thread reads.
        counts = list(distribution.counts)
        # Minimum and maximum are optional in the protocol and of no use in cumulative points.
        unknown: Any = None
        return HistogramDataPoint(
            attributes=labels,
            start_time_unix_nano=self._started_ns,
            time_unix_nano=now,
            count=sum(counts),
            sum=distribution.sum,
            bucket_counts=counts,
            explicit_bounds=distribution.bounds,
            min=unknown,
            max=unknown,
        )


class ScrapedReader(PrometheusMetricReader):
    """Exports to a Prometheus registry."""

    def __init__(self, histograms: Histograms, registry: CollectorRegistry) -> None:
        self._histograms = histograms
        super().__init__(scope_info_enabled=False, registry=registry, cardinality_limits=CARDINALITY)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        super()._receive_metrics(self._histograms.added_to(metrics_data), timeout_millis, **kwargs)


class PushedReader(PeriodicExportingMetricReader):
    """Exports every OTEL_METRIC_EXPORT_INTERVAL."""

    def __init__(self, histograms: Histograms, exporter: MetricExporter) -> None:
        self._histograms = histograms
        super().__init__(exporter, cardinality_limits=CARDINALITY)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        super()._receive_metrics(self._histograms.added_to(metrics_data), timeout_millis, **kwargs)
