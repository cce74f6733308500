"""Metrics, traces, logs and probes of scheduler and dispatcher processes."""

from taskyard_core.telemetry.backlog_series import BacklogSeries
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.telemetry.gauges import (
    BacklogReading,
    Gauges,
    LeaderReading,
    OutboxReading,
    QueueReading,
    SizeReading,
    SlotsReading,
)
from taskyard_core.telemetry.health import GrpcHealth
from taskyard_core.telemetry.lag import LagProbe
from taskyard_core.telemetry.metrics import Metrics
from taskyard_core.telemetry.probes import ProbeServer, probe_routes
from taskyard_core.telemetry.queue_series import QueueSeries
from taskyard_core.telemetry.records import Claim
from taskyard_core.telemetry.settings import LogSettings

__all__ = [
    "BacklogReading",
    "BacklogSeries",
    "Claim",
    "Gauges",
    "GrpcHealth",
    "LagProbe",
    "LeaderReading",
    "LogSettings",
    "Metrics",
    "OutboxReading",
    "ProbeServer",
    "QueueReading",
    "QueueSeries",
    "SizeReading",
    "SlotsReading",
    "Telemetry",
    "probe_routes",
]
