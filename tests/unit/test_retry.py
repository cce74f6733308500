"""When a failed task is tried again."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain import limits, retry
from taskyard_core.domain.task import RetryPolicy

DRAWS = st.floats(0, 1, exclude_max=True)
POLICIES = st.builds(
    RetryPolicy,
    max_attempts=st.none() | st.integers(1, limits.MAX_ATTEMPTS),
    initial_backoff=st.none() | st.floats(0, limits.INITIAL_BACKOFF_SECONDS),
    multiplier=st.none() | st.floats(1, limits.MULTIPLIER_MAX),
    max_backoff=st.none() | st.floats(0, limits.MAX_BACKOFF_SECONDS),
    jitter=st.none() | st.floats(0, 1),
)
FAILURES = st.integers(1, limits.MAX_ATTEMPTS)


@given(POLICIES, POLICIES)
def test_the_task_wins_over_its_queue_field_by_field(task: RetryPolicy, queue: RetryPolicy) -> None:
    found = retry.effective(task, queue)
    for name in RetryPolicy.__slots__:
        given_values = [getattr(policy, name) for policy in (task, queue, retry.DEFAULT)]
        assert getattr(found, name) == next(value for value in given_values if value is not None)


@given(POLICIES)
def test_an_effective_policy_is_whole_and_stays_so(policy: RetryPolicy) -> None:
    whole = retry.effective(policy, None)
    assert retry.effective(whole) == whole


@given(POLICIES, FAILURES, DRAWS)
def test_a_backoff_is_finite_and_within_its_jitter(policy: RetryPolicy, failures: int, draw: float) -> None:
    whole = retry.effective(policy)
    wait = retry.backoff(policy, failures, lambda: draw)
    assert math.isfinite(wait)
    assert 0 <= wait <= whole.max_backoff * (1 + whole.jitter)  # type: ignore[operator]


@given(POLICIES, FAILURES)
def test_backoffs_never_shrink_but_for_jitter(policy: RetryPolicy, failures: int) -> None:
    def middle(number: int) -> float:
        return retry.backoff(policy, number, lambda: 0.5)

    assert middle(failures) <= middle(failures + 1)


@given(POLICIES, FAILURES, DRAWS, DRAWS)
def test_jitter_spreads_around_the_middle(policy: RetryPolicy, failures: int, low: float, high: float) -> None:
    low, high = sorted((low, high))
    middle = retry.backoff(policy, failures, lambda: 0.5)
    first, second = (retry.backoff(policy, failures, lambda draw=draw: draw) for draw in (low, high))  # type: ignore[misc]
    assert first <= second
    share = retry.effective(policy).jitter
    assert abs(first - middle) <= middle * share * (1 + 1e-9) + middle * 1e-12  # type: ignore[operator]


@given(POLICIES, FAILURES)
def test_the_budget_is_the_number_of_attempts(policy: RetryPolicy, failures: int) -> None:
    assert retry.exhausted(policy, failures) == (failures >= (policy.max_attempts or 3))


def test_the_default_doubles_from_a_second() -> None:
    waits = [retry.backoff(RetryPolicy(jitter=0.0), n, lambda: 0.9) for n in range(1, 12)]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


@given(POLICIES, st.integers(1, 100_000))
def test_backoffs_grow_until_the_longest(policy: RetryPolicy, failures: int) -> None:
    whole = retry.effective(policy)
    wait = retry.backoff(policy, failures, lambda: 0.5)
    if 0 < wait < whole.max_backoff * (1 - 1e-9):  # type: ignore[operator]
        power = math.log(whole.multiplier) * (failures - 1)  # type: ignore[arg-type]
        # Beyond what a float holds, a wait that begins next to nothing is shorter than the power says.
        if power < math.log(sys.float_info.max) - 1:
            expected = whole.initial_backoff * whole.multiplier ** (failures - 1)  # type: ignore[operator]
            assert math.isclose(wait, expected)


@pytest.mark.parametrize(("multiplier", "failures"), [(1.02, 638), (1.001, 12_620), (100.0, 1000), (1e9, 2**31)])
def test_a_slow_backoff_reaches_the_longest_too(multiplier: float, failures: int) -> None:
    policy = RetryPolicy(initial_backoff=1.0, multiplier=multiplier, max_backoff=300_000.0, jitter=0.0)
    assert retry.backoff(policy, failures, lambda: 0.5) == 300_000.0
    assert retry.backoff(RetryPolicy(initial_backoff=0.0, multiplier=multiplier), failures, lambda: 0.5) == 0
