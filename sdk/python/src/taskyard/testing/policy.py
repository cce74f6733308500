"""When a failed attempt is followed by another, as a cluster decides it."""

from taskyard import _specs
from taskyard.models import Duration, RetryPolicy

MAX_ATTEMPTS = 3
INITIAL_BACKOFF = 1.0
MULTIPLIER = 2.0
MAX_BACKOFF = 300.0


def backoff(policy: RetryPolicy, failures: int) -> float | None:
    """Seconds until the next attempt after so many failures; None: there is none. Jitter is left out."""
    if failures >= _or(policy.max_attempts, MAX_ATTEMPTS):
        return None
    initial = _length("initial_backoff", policy.initial_backoff, INITIAL_BACKOFF)
    most = _length("max_backoff", policy.max_backoff, MAX_BACKOFF)
    try:
        return min(initial * _or(policy.multiplier, MULTIPLIER) ** (failures - 1), most)
    except OverflowError:
        return most


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _length(name: str, value: Duration | None, default: float) -> float:
    return default if value is None else _specs.seconds(f"retry.{name}", value)
