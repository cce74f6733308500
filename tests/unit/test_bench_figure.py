"""The benchmarks' arithmetic and table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.figure import Figure, combine, percentile, table


@pytest.mark.parametrize(("percent", "value"), [(0, 1), (50, 50), (99, 99), (100, 100)])
def test_percentiles_of_one_to_a_hundred(percent: float, value: float) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == value


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.floats(0, 100))
def test_a_percentile_is_one_of_the_values_and_not_exceeded_by_its_share(values: list[float], percent: float) -> None:
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= percent / 100 * len(values) - 1e-9


def test_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 50)


def test_repetitions_are_combined_by_name() -> None:
    repetitions = [[Figure("drain", "tasks/s", (rate,)), Figure("p50", "ms", (1.5,))] for rate in (3.0, 1.0, 2.0)]
    drain, p50 = combine(repetitions)
    assert drain.document() == {
        "name": "drain",
        "unit": "tasks/s",
        "values": (3.0, 1.0, 2.0),
        "min": 1.0,
        "median": 2.0,
        "max": 3.0,
    }
    assert p50.values == (1.5, 1.5, 1.5)


def test_the_table_lines_up() -> None:
    lines = table([Figure("drain", "tasks/s", (12_345.6,)), Figure("p50", "ms", (1.5, 2.5))]).splitlines()
    assert lines[1].split() == ["drain", "tasks/s", "12,346", "12,346", "12,346"]
    assert lines[2].split() == ["p50", "ms", "1.50", "2.00", "2.50"]
    assert len(set(map(len, lines))) == 1
