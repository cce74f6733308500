"""What callers have at once."""

import pytest

from taskyard_scheduler.api.census import Census
from taskyard_scheduler.api.failures import Failure, Reason


def test_what_is_too_much_for_one_caller_or_for_all_is_refused_and_counts_for_nobody() -> None:
    census = Census(5, 3, "too many")
    with census.counted("a", 3):
        with pytest.raises(Failure, match="too many") as refusal, census.counted("a"):
            pass
        assert refusal.value.reason is Reason.TOO_MANY_REQUESTS
        with census.counted("b", 2):
            with pytest.raises(Failure), census.counted("c"):
                pass
            assert (census.total, census.callers) == (5, 2)
        with census.counted("c", 2):
            assert census.total == 5


def test_nothing_is_kept_of_callers_that_are_gone() -> None:
    census = Census(5, 3, "too many")
    for who in "abcdefgh":
        with pytest.raises(ValueError, match="the block"), census.counted(who), census.counted(who, 2):
            raise ValueError("the block")
    assert (census.total, census.callers) == (0, 0)
