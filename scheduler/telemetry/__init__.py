"""Metrics, traces, logs and probes of scheduler and dispatcher processes."""

from scheduler.telemetry.backlog_series import BacklogSeries
from scheduler.telemetry.facade import Telemetry
from scheduler.telemetry.gauges import (
    BacklogReading,
    Gauges,
    LeaderReading,
    OutboxReading,
    QueueReading,
    SizeReading,
    SlotsReading,
)
from scheduler.telemetry.health import GrpcHealth
from scheduler.telemetry.lag import LagProbe
from scheduler.telemetry.metrics import Metrics
from scheduler.telemetry.probes import ProbeServer, probe_routes
from scheduler.telemetry.records import Claim, Ended, Moved, Runner
from scheduler.telemetry.settings import LogSettings

__all__ = [
    "BacklogReading",
    "BacklogSeries",
    "Claim",
    "Ended",
    "Gauges",
    "GrpcHealth",
    "LagProbe",
    "LeaderReading",
    "LogSettings",
    "Metrics",
    "Moved",
    "OutboxReading",
    "ProbeServer",
    "QueueReading",
    "Runner",
    "SizeReading",
    "SlotsReading",
    "Telemetry",
    "probe_routes",
]
