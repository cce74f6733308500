"""When a failed task is tried again."""

import sys
from collections.abc import Callable

from taskyard_core.domain.task import RetryPolicy

DEFAULT = RetryPolicy(max_attempts=3, initial_backoff=1.0, multiplier=2.0, max_backoff=300.0, jitter=0.2)


def effective(*policies: RetryPolicy | None) -> RetryPolicy:
    """Field by field the first value given: the task's, then its queue's, then the default."""
    values: dict[str, float | int] = {}
    for policy in (*policies, DEFAULT):
        if policy is not None:
            for name in RetryPolicy.__slots__:
                if (value := getattr(policy, name)) is not None:
                    values.setdefault(name, value)
    return RetryPolicy(**values)  # type: ignore[arg-type]


def backoff(policy: RetryPolicy, failures: int, draw: Callable[[], float]) -> float:
    """Seconds to wait after the given number of failures (1 or more); `draw` gives uniform [0, 1).

    Exponential with a cap; jitter spreads it to plus or minus that share, so that tasks that failed together do not
    come back together.
    """
    policy = effective(policy)
    assert policy.initial_backoff is not None
    assert policy.multiplier is not None
    assert policy.max_backoff is not None
    assert policy.jitter is not None
    capped = min(policy.initial_backoff * _growth(policy.multiplier, failures - 1), policy.max_backoff)
    return capped * (1 + policy.jitter * (2 * draw() - 1))


def _growth(multiplier: float, times: int) -> float:
    try:
        return multiplier**times
    except OverflowError:
        # Finite, because no backoff at all stays none however often it is multiplied.
        return sys.float_info.max


def exhausted(policy: RetryPolicy, failures: int) -> bool:
    """Whether the failure budget is used up."""
    limit = effective(policy).max_attempts
    assert limit is not None
    return failures >= limit
