"""What workloads expect of their own tasks: each history is legal, and most are not as they should be."""

import pytest

from chaos.checks import verdict
from chaos.workloads.deeds import DEEDS, PREFIX
from chaos.workloads.hostile import Hostile
from chaos.workloads.rows import HONEST, ROWS, TYPE, Rows
from tests.unit.chaos.legal import Teller


@pytest.fixture
def t() -> Teller:
    """A session, and nothing else."""
    teller = Teller()
    teller.hello("s", slots=100)
    return teller


def ended(t: Teller, workload: str, error: str | None, *, type: str, key: str | None = None) -> None:
    """A task of the workload that ended with that error, or succeeded."""
    task = f"task-{len(t.history.submits)}"
    t.submit(task, max_attempts=1, key=key)
    t.history.submits[-1] = t.history.submits[-1]._replace(workload=workload, type=type)
    t.claim(task, "s", start=error != "INVALID_TASK")
    if error is None:
        t.succeed(task)
    elif error == "CRASH_LOOP":
        t.hello("s", live=False)
        t.change(task, "FAILED", crashes=4, reason=error)
    else:
        if error not in ("INVALID_TASK", "INVALID_PAYLOAD"):
            t.said(task, "FAILED")
        t.change(task, "FAILED", failures=1, reason=error)


def complaints(t: Teller, load: Hostile | Rows) -> list[str]:
    assert {violation.invariant for violation in load.check(t.history)} <= {load.name}
    return [violation.message for violation in load.check(t.history)]


def test_every_deed_ends_as_it_must(t: Teller) -> None:
    for type_, deed in DEEDS.items():
        ended(t, "hostile", deed.error, type=type_)
    assert complaints(t, Hostile()) == []
    assert verdict(t.history).good


@pytest.mark.parametrize(
    ("deed", "error", "complaint"),
    [
        ("exits", None, "ended SUCCEEDED"),
        ("exits", "CancelledError", "failed with CancelledError"),
        ("counts-far", "TypeError", "ended FAILED"),
        ("exits-when-gone", "SystemExit", "ended FAILED"),
        ("returns-depth", "RESULT_NOT_JSON", "failed with RESULT_NOT_JSON"),
    ],
)
def test_a_deed_that_ends_otherwise(t: Teller, deed: str, error: str | None, complaint: str) -> None:
    ended(t, "hostile", error, type=PREFIX + deed)
    assert any(complaint in told for told in complaints(t, Hostile()))


def test_a_worker_that_was_killed_too_often_may_be_the_end_of_any_task(t: Teller) -> None:
    ended(t, "hostile", "CRASH_LOOP", type=PREFIX + "exits")
    ended(t, "rows", "CRASH_LOOP", type=TYPE, key="k endless")
    assert complaints(t, Hostile()) + complaints(t, Rows()) == []


def test_a_deed_that_ends_its_workers_shows(t: Teller) -> None:
    for _ in range(3):
        ended(t, "hostile", "CRASH_LOOP", type=PREFIX + "exits")
    assert complaints(t, Hostile()) == ["3 of 3 tasks of type " + PREFIX + "exits ended their workers"]
    for _ in range(3):
        ended(t, "hostile", DEEDS[PREFIX + "exits"].error, type=PREFIX + "exits")
    assert complaints(t, Hostile()) == []


def test_every_row_ends_as_it_must(t: Teller) -> None:
    ends = [(row, end) for row, (_, ends) in ROWS.items() for end in ends]
    for number, (row, end) in enumerate(ends):
        ended(t, "rows", None if end == "SUCCEEDED" else end, type=TYPE, key=f"{number} {row}")
    assert complaints(t, Rows()) == []
    assert verdict(t.history).good


@pytest.mark.parametrize(
    ("row", "error"),
    [
        (HONEST, "INVALID_TASK"),
        ("endless", None),
        ("endless", "TIMEOUT"),
        ("no JSON", None),
        ("ever ready", "INVALID_TASK"),
        ("midway", "TIMEOUT"),
    ],
)
def test_a_row_that_ends_otherwise(t: Teller, row: str, error: str | None) -> None:
    ended(t, "rows", error, type=TYPE, key=f"k {row}")
    (told,) = complaints(t, Rows())
    assert f"whose row is {row or 'honest'}, ended {'FAILED' if error else 'SUCCEEDED'}" in told
