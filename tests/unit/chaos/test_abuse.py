"""Abuse comes all at once after a quiet while, and what it costs honest tasks is measured against that while."""

import pytest

from chaos.abuse.registry import ABUSES
from chaos.abuse.target import Target
from chaos.experiments import PRESETS, besieged, siege
from chaos.faults import abuse
from chaos.history.events import Submit, Transition
from chaos.history.record import History
from chaos.measures.patience import PEAK_BYTES, patience_check, peak_checks
from chaos.result import FaultRecord

PRESET = PRESETS["abuse"].lasting(5)
ABUSE = FaultRecord(60.0, 100.0, "abuse", "listings", "clients", "")


def history(*lives: tuple[float, float]) -> History:
    """Plain tasks by when they were submitted and when they ended."""
    found = History()
    for number, (submitted, ended) in enumerate(lives):
        task = str(number)
        found.submits.append(
            Submit(submitted, submitted, "c", "plain", "default", None, "", "ok", task, type="chaos.plain")
        )
        found.transitions.append(Transition(number, ended, 0, task, "RUNNING", "SUCCEEDED"))
    return found


def test_every_abuse_is_in_the_plan_and_over_before_the_load_is() -> None:
    steps = siege(PRESET, abuse.faults(besieged(PRESET)))
    assert {step.fault for step in steps} == set(ABUSES)
    assert all(step.at >= 60 for step in steps)
    assert {step.ends for step in steps} == {PRESET.seconds - PRESET.rest}


@pytest.mark.parametrize(("slowest", "within"), [(0.29, True), (0.31, False)])
def test_honest_tasks_may_take_three_times_as_long_beside_abuse(slowest: float, within: bool) -> None:
    check = patience_check(history((10.0, 10.1), (20.0, 20.05), (70.0, 70.0 + slowest), (110.0, 119.0)), [ABUSE])
    assert (check.start, check.end) == pytest.approx((0.1, slowest))
    assert check.within is within


def test_what_was_submitted_before_the_abuse_and_ended_in_it_counts_for_neither() -> None:
    check = patience_check(history((10.0, 10.1), (59.0, 61.0), (70.0, 70.2)), [ABUSE])
    assert (check.start, check.end) == pytest.approx((0.1, 0.2))


def test_without_an_honest_task_to_compare_nothing_is_within() -> None:
    assert not patience_check(history((70.0, 70.2)), [ABUSE]).within


def test_a_server_that_was_once_too_large_is_told() -> None:
    checks = list(peak_checks({"scheduler-1": PEAK_BYTES, "dispatcher-1": PEAK_BYTES + 1}))
    assert [(check.name, check.within) for check in checks] == [
        ("peak memory of dispatcher-1", False),
        ("peak memory of scheduler-1", True),
    ]


def test_a_target_arrives_in_an_abusers_process_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target(rest=["http://a:1"], schedulers=["a:2"], dispatchers=["b:3"], http=["b:4"], until=5.0)
    for name, value in target.environment().items():
        monkeypatch.setenv(name, value)
    assert Target.from_environment() == target
