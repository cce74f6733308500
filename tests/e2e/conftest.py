"""Whole clusters, and a place for the figures that their tests measure."""

from collections.abc import Callable

import pytest

Figure = Callable[[str, float], None]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes half a minute or more")


@pytest.fixture
def figure(record_property: Callable[[str, object], None]) -> Figure:
    """`figure("what it is", seconds)`: shown with -s, and kept in the JUnit report."""

    def note(name: str, value: float) -> None:
        record_property(name, round(value, 3))
        print(f"\n  {name}: {value:.2f}")

    return note
