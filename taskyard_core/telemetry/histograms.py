"""Which histograms there are, and how they join what OpenTelemetry's SDK exports over OTLP."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from opentelemetry.sdk.metrics import ObservableCounter, ObservableGauge
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    PeriodicExportingMetricReader,
)

from taskyard_core.telemetry.distribution import Distribution
from taskyard_core.telemetry.ledger import Ledger

# The tallies bound the labels; the SDK's own limit of 2000 would lump together series below that bound.
CARDINALITY: dict[type, int] = {ObservableCounter: 50_000, ObservableGauge: 50_000}

Series = Iterable[tuple[Mapping[str, str], Distribution]]


@dataclass(frozen=True, slots=True)
class Family:
    """One histogram: `series` gives the distributions so far, each with its labels."""

    name: str
    description: str
    unit: str
    series: Callable[[], Series]


def families(ledger: Ledger) -> list[Family]:
    """Every histogram of the ledger."""
    tallies = ledger.tallies
    return [
        Family(
            "taskyard.schedule_to_start",
            "From when a task could run to its start",
            "s",
            lambda: ((tally.labels, tally.waited) for tally in tallies.all() if tally.run()),
        ),
        Family(
            "taskyard.task.run",
            "How long attempts ran",
            "s",
            lambda: ((tally.labels, tally.ran) for tally in tallies.all() if tally.run()),
        ),
        Family("taskyard.commit.size", "Tasks in one group commit", "", lambda: _commits(ledger.commit_sizes)),
        Family("taskyard.commit", "How long group commits took", "s", lambda: _commits(ledger.commit_seconds)),
    ]


class PushedReader(PeriodicExportingMetricReader):
    """Exports every OTEL_METRIC_EXPORT_INTERVAL what the SDK collected, and the histograms, as cumulative points."""

    def __init__(self, histograms: list[Family], exporter: MetricExporter) -> None:
        # The base class starts its thread, so everything has to be there before.
        self._histograms = histograms
        self._started_ns = time.time_ns()
        super().__init__(exporter, cardinality_limits=CARDINALITY)

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:
        first, *others = metrics_data.resource_metrics
        # Into the scope that is there: the encoder keeps only the last of two equal ones.
        scope, *scopes = first.scope_metrics
        scope = replace(scope, metrics=[*scope.metrics, *self._distributions()])
        complete = MetricsData([replace(first, scope_metrics=[scope, *scopes]), *others])
        super()._receive_metrics(complete, timeout_millis, **kwargs)

    def _distributions(self) -> list[Metric]:
        now = time.time_ns()
        metrics = []
        for family in self._histograms:
            if points := [self._point(labels, distribution, now) for labels, distribution in family.series()]:
                data = Histogram(points, AggregationTemporality.CUMULATIVE)
                metrics.append(Metric(family.name, family.description, family.unit, data))
        return metrics

    def _point(self, labels: Mapping[str, str], distribution: Distribution, now: int) -> HistogramDataPoint:
        # One copy first: the count must be that of the same moment as the buckets, and this is another thread.
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


def _commits(distributions: Mapping[str, Distribution]) -> Series:
    return [({"statement": name}, distribution) for name, distribution in list(distributions.items())]
