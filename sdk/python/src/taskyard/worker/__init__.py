"""Workers: run handlers for task types."""

from taskyard.worker.context import Context, StopCause
from taskyard.worker.outcome import NonRetryable
from taskyard.worker.session import HelloRefused
from taskyard.worker.worker import Worker

__all__ = ["Context", "HelloRefused", "NonRetryable", "StopCause", "Worker"]
