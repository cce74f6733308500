"""What checks of single tasks catch: each history is legal but for one thing."""

import re

import pytest

from chaos.checks import verdict
from chaos.history.events import Call, Ended, Phase, Read, Started, Submit
from chaos.history.record import Facts
from tests.unit.chaos.legal import Teller, busy_day


def caught(t: Teller, invariant: str, message: str) -> None:
    """Exactly this invariant is violated, by a task whose story is told."""
    found = verdict(t.history)
    assert set(found.counts) == {invariant}, [str(violation) for violation in found.violations]
    violation = found.violations[0]
    assert re.search(message, violation.message), violation.message
    assert violation.task is None or len(violation.story) > 0


@pytest.fixture
def t() -> Teller:
    """A legal history with a session that has room."""
    teller = busy_day()
    teller.history.facts = Facts()
    teller.hello("s")
    return teller


def test_a_legal_history_is_good() -> None:
    assert verdict(busy_day().history).good


def test_an_acknowledged_task_that_was_never_stored(t: Teller) -> None:
    t.submit("x", stored=False)
    caught(t, "no-loss", "told of task x, which was never stored")


def test_a_task_that_never_ends(t: Teller) -> None:
    t.submit("x")
    caught(t, "no-loss", "x is still QUEUED after the drain")


def test_a_run_without_a_drain_may_leave_tasks_behind(t: Teller) -> None:
    t.history.facts = Facts(drained=False)
    t.submit("x")
    assert verdict(t.history).good


def test_a_task_deleted_while_it_waits(t: Teller) -> None:
    t.submit("x")
    t.change("x", None)
    caught(t, "no-loss", "x was deleted while it was QUEUED")


def test_a_task_deleted_too_soon(t: Teller) -> None:
    t.change("plain", None)
    caught(t, "no-loss", "plain was deleted .* nobody had purged it")


def test_retention_may_delete(t: Teller) -> None:
    t.wait(8 * 24 * 3600)
    t.change("plain", None)
    assert verdict(t.history).good


def test_retention_counts_from_the_beginning_of_the_ending(t: Teller) -> None:
    t.wait(7 * 24 * 3600 - 5)
    t.change("plain", None)
    assert verdict(t.history).good


def test_only_dead_letters_can_be_purged(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.fail("x", to="FAILED", outcome="HOPELESS")
    t.call("purge", "x")
    t.change("x", None)
    assert verdict(t.history).good
    t.call("purge", "plain")
    t.change("plain", None)
    caught(t, "no-loss", "plain was deleted")


def test_a_task_that_nobody_submitted(t: Teller) -> None:
    t.submit("x", phase=Phase.FAILED)
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "no-phantoms", "nobody submitted task x")


def test_two_tasks_of_one_unknown_submit(t: Teller) -> None:
    t.submit("x", phase=Phase.UNKNOWN, request="r")
    t.change("y", "QUEUED", request="r", placement=t.history.transitions[1].placement)
    for task in ("x", "y"):
        t.claim(task, "s")
        t.succeed(task)
    caught(t, "no-phantoms", "nobody submitted task y")


def test_one_key_with_two_tasks(t: Teller) -> None:
    t.submit("x", key="keyed")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "idempotency", "made task x besides keyed")


def test_a_key_is_free_again_once_its_task_is_deleted(t: Teller) -> None:
    t.wait(8 * 24 * 3600)
    t.change("keyed", None)
    t.submit("x", key="keyed")
    t.claim("x", "s")
    t.succeed("x")
    assert verdict(t.history).good


def _submitted_again(t: Teller, *, request: str, phase: str, error: str | None = None, key: str = "keyed") -> None:
    answer = Submit(t.now, t.now, "c", "w", "default", key, request, phase, "keyed", phase == Phase.OK, error)
    t.history.submits.append(answer)


def _request_of(t: Teller, task: str) -> str:
    return next(submit.request for submit in t.history.submits if submit.task == task)


def test_the_same_key_and_request_is_a_duplicate_and_another_request_a_conflict(t: Teller) -> None:
    _submitted_again(t, request=_request_of(t, "keyed"), phase=Phase.OK)
    _submitted_again(t, request="other", phase=Phase.FAILED, error="IdempotencyConflict")
    assert verdict(t.history).good


def test_another_request_taken_for_the_same(t: Teller) -> None:
    _submitted_again(t, request="other", phase=Phase.OK)
    caught(t, "idempotency", "request other was answered with task keyed")


def test_a_conflict_without_a_cause(t: Teller) -> None:
    _submitted_again(t, request=_request_of(t, "keyed"), phase=Phase.FAILED, error="IdempotencyConflict")
    caught(t, "idempotency", "refused as a conflict")


def test_an_answer_that_names_the_task_of_another_key(t: Teller) -> None:
    _submitted_again(t, request=_request_of(t, "keyed"), phase=Phase.OK, key="else")
    caught(t, "idempotency", "key else was answered with task keyed of key keyed")


def test_an_attempt_that_does_not_rise(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.release("x")
    t.change("x", "RUNNING", session="s")
    t.succeed("x")
    caught(t, "attempts", "x has attempt 1 after 1, claimed")


def test_an_attempt_that_rises_without_a_claim(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.change("x", "QUEUED", attempt=2)
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "attempts", "x has attempt 2 after 1, RUNNING -> QUEUED")


def test_an_attempt_started_twice(t: Teller) -> None:
    t.history.started.append(next(start for start in t.history.started if start.task == "plain"))
    caught(t, "attempts", "attempt 1 of plain was started twice")


def test_an_attempt_in_another_session_than_claimed_it(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s", start=False)
    t.history.started.append(Started(t.now, "w", "s2", "x", 1))
    t.succeed("x")
    caught(t, "attempts", "session s2 started what s had claimed")


def test_an_attempt_that_was_never_claimed(t: Teller) -> None:
    t.history.started.append(Started(t.now, "w", "s", "plain", 2))
    caught(t, "attempts", "started attempt 2 of plain, which was never claimed")


def test_two_outcomes(t: Teller) -> None:
    t.change("plain", "CANCELLED")
    caught(t, "one-outcome", "plain went from SUCCEEDED to CANCELLED")


def test_a_result_that_changes_after_the_end(t: Teller) -> None:
    t.change("plain", "SUCCEEDED", result="other")
    caught(t, "one-outcome", "plain was changed after it was SUCCEEDED")


def test_a_change_that_nothing_recorded(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.succeed("x")
    claim = next(change for change in t.history.transitions if change.task == "x" and change.new == "RUNNING")
    t.history.transitions.remove(claim)
    found = verdict(t.history)
    assert any("x was QUEUED, then it went on from RUNNING" in violation.message for violation in found.violations)


def test_a_redrive_that_nobody_asked_for(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.fail("x", to="FAILED", outcome="HOPELESS")
    t.change("x", "QUEUED", failures=0)
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "one-outcome", "nobody had asked for a redrive")


def test_a_bulk_redrive_whose_answer_was_lost_may_have_been_it(t: Teller) -> None:
    t.call("redrive", "*", phase=Phase.UNKNOWN)
    test = test_a_redrive_that_nobody_asked_for
    with pytest.raises(AssertionError):
        test(t)
    assert verdict(t.history).good


def test_a_success_of_a_task_that_no_session_had(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    result = t.said("x", "SUCCEEDED")
    t.release("x")
    t.change("x", "SUCCEEDED", result=result)
    caught(t, "one-outcome", "no session had lost it")


def test_the_result_of_an_older_attempt(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    old = t.said("x", "SUCCEEDED")
    t.release("x")
    t.claim("x", "s")
    t.said("x", "SUCCEEDED")
    t.change("x", "SUCCEEDED", result=old)
    caught(t, "fencing", "accepted for attempt 2 of x, but its worker said SUCCEEDED")


def test_a_result_that_no_worker_gave(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.change("x", "SUCCEEDED", result="r")
    caught(t, "fencing", "result r was accepted for attempt 1 of x, but its worker said nothing")


def test_a_result_of_another_session(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.change("x", "SUCCEEDED", result=t.said("x", "SUCCEEDED", session="s2"))
    caught(t, "fencing", "its worker said nothing")


def test_a_failure_that_no_worker_reported(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.change("x", "SCHEDULED", failures=1, reason="Error", session=None)
    t.promote("x")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "fencing", "attempt 1 of x was failed with Error, but its worker never said so")


def test_a_start_before_its_time(t: Teller) -> None:
    t.submit("x", delay=100.0)
    t.promote("x")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "no-early-start", r"x was promoted 9\d\.\d+ s early")


def test_a_retry_before_its_backoff_is_over(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.fail("x", backoff=50)
    t.promote("x")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "no-early-start", r"x was promoted 4\d\.\d+ s early")


def test_a_claim_long_after_the_expiry(t: Teller) -> None:
    t.submit("x", expires=t.now + 1)
    t.wait(20)
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "no-early-start", "after it had expired")


def test_an_expiry_before_its_time(t: Teller) -> None:
    t.submit("x", expires=t.now + 10)
    t.change("x", "EXPIRED", term=t.term)
    caught(t, "no-early-start", "EXPIRED before its time")


def test_a_retry_beyond_the_budget(t: Teller) -> None:
    t.submit("x", max_attempts=1)
    t.claim("x", "s")
    t.fail("x")
    t.wait(1)
    t.promote("x")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "budgets", "x was retried beyond its budget")


def test_a_failure_with_budget_left(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.fail("x", to="FAILED")
    caught(t, "budgets", "x was FAILED with budget left")


def test_a_release_that_costs_a_failure(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.change("x", "QUEUED", failures=1, session=None)
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "budgets", "x was queued again beyond its budget")


def test_a_crash_budget_ignored(t: Teller) -> None:
    t.submit("x")
    for _ in range(4):
        t.claim("x", "s")
        t.hello("s", live=False)
        t.change("x", "QUEUED", crashes=t.row("x").crashes + 1)
        t.hello("s")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "budgets", "x was queued again beyond its budget")


def test_a_crash_loop_ends_at_the_fourth(t: Teller) -> None:
    t.submit("x")
    for _ in range(4):
        t.claim("x", "s")
        t.lose("s", ["x"])
        t.hello("s")
    assert t.row("x").new == "FAILED"
    assert verdict(t.history).good


def test_a_crash_loop_that_ends_too_soon(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.hello("s", live=False)
    t.change("x", "FAILED", crashes=1, reason="CRASH_LOOP")
    caught(t, "budgets", "x was FAILED, but not by a crash loop")


def test_a_claim_after_the_cancel_was_stored(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    t.change("x", "RUNNING", cancel_requested=True)
    t.change("x", "QUEUED", session=None, cancel_requested=False)
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "cancel", "x is QUEUED again, though it was to stop")


def test_a_claim_after_the_client_was_told_of_the_cancel(t: Teller) -> None:
    t.submit("x")
    t.call("cancel", "x", state="CANCELLED")
    t.claim("x", "s")
    t.succeed("x")
    caught(t, "cancel", "x was claimed .* after a client was told that it is cancelled")


def test_a_cancel_that_was_answered_late_may_come_before_a_redrive(t: Teller) -> None:
    t.submit("x")
    t.claim("x", "s")
    asked = t.now
    t.change("x", "RUNNING", cancel_requested=True)
    t.fail("x", to="FAILED", outcome="FAILED")
    t.call("redrive", "x", state="QUEUED")
    t.change("x", "QUEUED", failures=0, session=None, cancel_requested=False)
    t.history.calls.append(Call(asked, t.now + 0.1, "c", "cancel", "x", Phase.OK, "RUNNING"))
    t.wait(1.0)
    t.claim("x", "s")
    t.succeed("x")
    assert "cancel" not in verdict(t.history).counts


def test_a_claim_of_what_is_cancelled(t: Teller) -> None:
    t.submit("x")
    t.change("x", "CANCELLED")
    t.claim("x", "s")
    t.succeed("x")
    assert "one-outcome" in verdict(t.history).counts


def test_a_client_sees_a_task_come_back(t: Teller) -> None:
    t.history.reads.append(Read(t.now, t.now + 1, "c2", "plain", "RUNNING", 1))
    caught(t, "monotonic-reads", "c2 read task plain as RUNNING after c read SUCCEEDED")


def test_a_client_sees_attempts_go_back(t: Teller) -> None:
    t.history.reads.append(Read(t.now, t.now, "c", "letter", "QUEUED", 2))
    t.history.reads.append(Read(t.now + 1, t.now + 2, "c", "letter", "FAILED", 1))
    caught(t, "monotonic-reads", "letter at attempt 1 after 2")


def test_reads_that_overlap_may_come_in_any_order(t: Teller) -> None:
    t.history.reads.append(Read(0.0, t.now, "c2", "plain", "RUNNING", 1))
    assert verdict(t.history).good


def test_a_client_cannot_find_an_accepted_task(t: Teller) -> None:
    t.history.reads.append(Read(t.now, t.now, "c", "plain", None))
    caught(t, "monotonic-reads", "plain, which was not there")


def test_an_overlap_with_an_attempt_that_had_not_ended(t: Teller) -> None:
    end = next(end for end in t.history.ended if end.task == "flaky" and end.attempt == 1)
    t.history.ended[t.history.ended.index(end)] = end._replace(at=end.at + 100)
    caught(t, "justified-overlap", "attempt 2 of flaky began .* before the failed attempt 1 had ended")


def test_without_worker_logs_their_word_is_not_asked_for() -> None:
    t = busy_day()
    t.history.started.clear()
    t.history.ended.clear()
    assert "fencing" in verdict(t.history).counts
    t.history.facts = Facts(worker_logs=False)
    assert verdict(t.history).good


def test_a_story_tells_all_in_order(t: Teller) -> None:
    t.history.ended.append(Ended(t.now, "w", "s", "plain", 1, "FAILED"))
    t.change("plain", "QUEUED")
    violation = next(v for v in verdict(t.history).violations if v.task == "plain")
    story = "\n".join(violation.story)
    for expected in (
        "submit",
        "None -> QUEUED",
        "QUEUED -> RUNNING",
        "started attempt=1",
        "read",
        "SUCCEEDED -> QUEUED",
    ):
        assert expected in story
    assert [float(line.split()[0]) for line in violation.story] == sorted(
        float(line.split()[0]) for line in violation.story
    )
