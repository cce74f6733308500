"""What checks of sessions, leaders and the whole run catch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaos.checks import selector, verdict
from chaos.history.events import Size
from chaos.history.record import Facts
from taskyard_core.domain import selectors
from tests.unit.chaos.legal import Teller, busy_day
from tests.unit.chaos.test_checks_tasks import caught


@pytest.fixture
def t() -> Teller:
    """A legal history with one session of two slots besides."""
    teller = busy_day()
    teller.hello("s", slots=2, labels={"zone": "z"})
    return teller


def test_a_crash_of_a_session_that_lives(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.change("x", "QUEUED", crashes=1)
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "justified-overlap", "attempt 1 of x was counted as lost, but session s lived")


def test_more_attempts_than_slots(t: Teller) -> None:
    for task in "xyz":
        t.submit(task)
        t.claim(task, "s")
    for task in "xyz":
        t.succeed(task)
    caught(t, "capacity", "has 3 for 2 slots")


def test_a_salvaged_success_frees_no_slot_twice(t: Teller) -> None:
    for task in "xyz":
        t.submit(task)
    t.claim("x", "s")
    result = t.said("x", "SUCCEEDED")
    t.lose("s", ["x"])
    t.hello("s", slots=1)
    t.change("x", "SUCCEEDED", result=result)
    t.claim("y", "s")
    t.claim("z", "s")
    t.succeed("y")
    t.succeed("z")
    caught(t, "capacity", "has 2 for 1 slots")


def test_a_claim_for_a_session_that_was_given_up(t: Teller) -> None:
    t.submit("x")
    t.hello("s", live=False)
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "capacity", "claimed x, but it was given up")


def test_a_claim_by_the_dispatcher_that_had_the_session_before(t: Teller) -> None:
    t.submit("x")
    t.hello("s", dispatcher="new")
    t.change("x", "RUNNING", attempt=1, session="s", application="old")
    t.succeed("x")
    caught(t, "capacity", "claimed x, but old claimed for it, and new has it")


def test_a_claim_for_a_session_that_drains(t: Teller) -> None:
    t.hello("s", draining=True)
    t.wait(20.0)
    t.submit("x")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "capacity", "claimed x, but it takes no more tasks")


def test_a_selector_that_does_not_hold(t: Teller) -> None:
    t.submit("x", selector="zone in (a,b)")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "placement", r"x was given to session s: zone in \(a,b\) does not hold")


def test_a_queue_and_a_type_that_are_not_served(t: Teller) -> None:
    t.hello("s", queues=("other",))
    t.submit("x")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "placement", "queue default is not among other")


def test_a_term_that_goes_back(t: Teller) -> None:
    t.raise_term(1)
    caught(t, "terms", "term 1 of dispatcher-1 came after 2")


def test_a_duty_under_an_old_term(t: Teller) -> None:
    t.submit("x", delay=0.1)
    t.raise_term(3)
    t.change("x", "QUEUED", term=2)
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "terms", "SCHEDULED -> QUEUED under term 2 .* in term 3")


def test_a_duty_without_a_term(t: Teller) -> None:
    t.submit("x", delay=0.1)
    t.change("x", "QUEUED", term=None)
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "terms", "SCHEDULED -> QUEUED without a term")


def test_a_task_that_waits_beside_a_free_worker(t: Teller) -> None:
    t.submit("x")
    t.wait(30)
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "recovery", r"x waited 3\d\.\d s beside a free worker")


def test_a_task_that_waits_for_a_worker_is_not_late(t: Teller) -> None:
    t.submit("x", selector="zone=y")
    t.wait(30)
    t.hello("s", slots=2, labels={"zone": "y"})
    t.claim("x", "s")
    t.succeed("x")
    assert verdict(t.history).good


def test_a_task_that_waits_until_a_slot_is_free_is_not_late(t: Teller) -> None:
    t.hello("s", slots=1, labels={"zone": "y"})
    for task in "xy":
        t.submit(task, selector="zone=y")
    t.claim("x", "s")
    t.wait(30)
    t.succeed("x")
    t.claim("y", "s")
    t.succeed("y")
    assert verdict(t.history).good


def test_a_task_that_waits_while_faults_last_is_not_late(t: Teller) -> None:
    t.submit("x")
    t.wait(30)
    t.history.facts = Facts(healed_at=t.now)
    t.claim("x", "s")
    t.succeed("x")
    assert verdict(t.history).good


def test_a_task_that_is_passed_by_much_younger_ones(t: Teller) -> None:
    t.submit("x")
    for number in range(20):
        t.wait(1)
        t.submit(f"y{number}")
        t.claim(f"y{number}", "s")
        t.succeed(f"y{number}")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "recovery", "x waited 3")


def test_a_long_queue_that_moves_is_not_late(t: Teller) -> None:
    for number in range(30):
        t.submit(f"y{number}")
    for number in range(30):
        t.wait(1)
        t.claim(f"y{number}", "s")
        t.succeed(f"y{number}")
    assert verdict(t.history).good


def test_a_late_promotion(t: Teller) -> None:
    t.submit("x", delay=1.0)
    t.wait(30)
    t.promote("x")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "recovery", "x was promoted .* late")


def test_what_runs_at_the_end_without_a_session(t: Teller) -> None:
    t.history.facts = Facts(drained=False)
    t.submit("x")
    t.claim("x", "s")
    assert verdict(t.history).good
    t.hello("s", live=False)
    caught(t, "at-rest", "x runs in session s, which is gone")


def test_sizes_that_do_not_come_back(t: Teller) -> None:
    t.history.sizes = [Size("redis pending", 0, 0, 0), Size("scheduler-1 memory", 100, 180, 150)]
    caught(t, "at-rest", "scheduler-1 memory is 180, was 100, may be 150")


_KEYS = st.sampled_from(["io", "zone", "gpu", "memory_gb"])
_VALUES = st.sampled_from(["a", "b", "16", "x.y", "ssd"])
_TERMS = st.one_of(
    st.builds("{}={}".format, _KEYS, _VALUES),
    st.builds("{} == {}".format, _KEYS, _VALUES),
    st.builds("{}!={}".format, _KEYS, _VALUES),
    st.builds("{}>={}".format, _KEYS, st.integers(-20, 20)),
    st.builds("{}".format, _KEYS),
    st.builds("!{}".format, _KEYS),
    st.builds("{} in ({}, {})".format, _KEYS, _VALUES, _VALUES),
    st.builds("{} notin ({})".format, _KEYS, _VALUES),
)


@given(st.lists(_TERMS, max_size=4).map(",".join), st.dictionaries(_KEYS, _VALUES | st.sampled_from(["-3", "", "١٦"])))
def test_two_readings_of_selectors_agree(text: str, labels: dict[str, str]) -> None:
    expected = selectors.fits(text, labels)
    assert selector.holds(text, labels) == expected
    assert selector.holds(selectors.canonical(text), labels) == expected


def _reaped(t: Teller, *, reason: str = "registration lost", answering: float | None, silent: float | None) -> None:
    t.hello("s", live=False, reason=reason, dispatcher="d", answering=answering, silent=silent)


def test_a_session_that_its_dispatcher_answers_for_is_given_up(t: Teller) -> None:
    _reaped(t, answering=60.0, silent=1.5)
    caught(t, "vouched", "session s was given up, but d answered for it 1.5 s ago, and had for 60 s")


@pytest.mark.parametrize(("answering", "silent"), [(None, None), (60.0, 12.0), (3.0, 0.5)])
def test_a_session_whose_dispatcher_is_gone_or_silent_or_was_may_be(
    t: Teller, answering: float | None, silent: float | None
) -> None:
    _reaped(t, answering=answering, silent=silent)
    assert verdict(t.history).good


def test_its_dispatcher_itself_may_give_a_session_up(t: Teller) -> None:
    _reaped(t, reason="stream broken", answering=60.0, silent=1.5)
    assert verdict(t.history).good
