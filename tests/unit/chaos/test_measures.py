"""Counts, throughput and recovery times from histories small enough to work out by hand."""

import itertools

from chaos.history.events import Ended, Injected, SessionChange, Started, Submit, TermRaised, Transition
from chaos.history.record import History
from chaos.measures.counts import counts, samples
from chaos.measures.recoveries import recoveries, shares
from chaos.measures.spread import spread
from chaos.result import Recovery

order = itertools.count(1)


def change(at: float, task: str, old: str | None, new: str | None, **more: object) -> Transition:
    return Transition(next(order), at, 0, task, old, new, **more)  # type: ignore[arg-type]


def hello(at: float, session: str, worker: str, dispatcher: str, generation: int = 1) -> SessionChange:
    return SessionChange(
        next(order), at, 0, session, "default", generation, True, 10, worker=worker, dispatcher=f"{dispatcher}-abcd"
    )


def accepted(at: float, task: str, **more: object) -> Submit:
    return Submit(at - 0.01, at, "client", "plain", "default", None, "", "ok", task, **more)  # type: ignore[arg-type]


def passed(at: float, task: str, session: str = "s1") -> list[Transition]:
    return [
        change(at, task, None, "QUEUED"),
        change(at + 0.1, task, "QUEUED", "RUNNING", attempt=1, session=session),
        change(at + 0.2, task, "RUNNING", "SUCCEEDED", attempt=1, session=session),
    ]


def rerun(task: str, *, lost: float, again: float) -> list[Transition]:
    return [
        change(0.0, task, None, "QUEUED"),
        change(1.0, task, "QUEUED", "RUNNING", attempt=1, session="s1"),
        change(lost, task, "RUNNING", "QUEUED", attempt=1, session="s1", crashes=1),
        change(again, task, "QUEUED", "RUNNING", attempt=2, session="s2", crashes=1),
        change(again + 1, task, "RUNNING", "SUCCEEDED", attempt=2, session="s2", crashes=1),
    ]


def named(history: History, name: str) -> Recovery:
    return next(recovery for recovery in recoveries(history, {}) if recovery.name == name)


def killed_worker(*faults: Injected) -> History:
    history = History()
    history.sessions = [hello(0.0, "s1", "worker-1", "dispatcher-1"), hello(0.0, "s2", "worker-2", "dispatcher-1")]
    history.transitions = rerun("a", lost=13.0, again=13.5)
    history.started = [Started(1.0, "worker-1", "s1", "a", 1), Started(13.6, "worker-2", "s2", "a", 2)]
    history.faults = [Injected(10.0, 10.0, "kill-worker", "worker-1"), *faults]
    return history


def test_a_killed_workers_task_has_recovered_when_it_runs_again() -> None:
    recovery = named(killed_worker(), "worker killed")
    assert recovery.alone == [3.6]
    assert recovery.within is True
    assert not recovery.overlapped


def test_another_fault_before_or_meanwhile_takes_a_recovery_out_of_the_judgement() -> None:
    for began, healed in ((12.0, 12.5), (2.0, 4.0), (0.0, 30.0)):
        recovery = named(killed_worker(Injected(began, healed, "freeze-etcd", "etcd-1")), "worker killed")
        assert recovery.overlapped == [3.6]
        assert recovery.within is None


def test_a_fault_long_before_or_after_explains_nothing() -> None:
    before, after = Injected(-20.0, -10.0, "freeze-etcd", "etcd-1"), Injected(14.0, 15.0, "kill-etcd", "etcd-2")
    history = killed_worker(before, after)
    assert named(history, "worker killed").alone == [3.6]


def test_a_task_that_ended_before_its_worker_was_missed_did_not_have_to_recover() -> None:
    history = killed_worker()
    history.transitions = [
        change(1.0, "a", None, "QUEUED"),
        change(1.0, "a", "QUEUED", "RUNNING", attempt=1, session="s1"),
        change(10.01, "a", "RUNNING", "SUCCEEDED", attempt=1, session="s1"),
    ]
    assert "worker killed" not in {recovery.name for recovery in recoveries(history, {})}


def killed_dispatcher(moved: float) -> History:
    history = killed_worker()
    history.sessions = history.sessions[:1]
    history.faults = [Injected(10.0, 10.0, "kill-leader", "dispatcher-1")]
    history.sessions.append(hello(moved, "s1", "worker-1", "dispatcher-2", 2))
    history.terms = [TermRaised(1, 0.0, 3, "dispatcher-1"), TermRaised(9, 15.0, 4, "dispatcher-2")]
    return history


def test_a_killed_dispatchers_workers_have_recovered_when_they_said_hello_to_another() -> None:
    recovery = named(killed_dispatcher(moved=11.5), "dispatcher killed")
    assert recovery.alone == [1.5]
    assert recovery.within is True
    assert named(killed_dispatcher(moved=13.0), "dispatcher killed").within is False


def test_a_session_that_never_comes_back_is_no_recovery() -> None:
    history = killed_dispatcher(moved=11.5)
    history.sessions = history.sessions[:1]
    assert named(history, "dispatcher killed").within is False


def test_a_session_whose_worker_was_taken_by_another_fault_tells_nothing() -> None:
    history = killed_dispatcher(moved=11.5)
    history.sessions = [*history.sessions[:1], hello(0.0, "s2", "worker-2", "dispatcher-1")]
    history.sessions.append(hello(10.5, "s2", "worker-2", "dispatcher-2", 2))
    history.faults.append(Injected(10.1, 10.1, "kill-worker", "worker-1"))
    recovery = named(history, "dispatcher killed")
    assert (recovery.alone, recovery.overlapped) == ([], [0.5])


def test_a_killed_leader_is_replaced_by_the_next_term() -> None:
    assert named(killed_dispatcher(moved=11.0), "leader killed").alone == [5.0]


def test_running_tasks_that_a_dispatchers_death_had_run_again_are_a_share() -> None:
    [share] = shares(killed_dispatcher(moved=11.0))
    assert (share.part, share.whole, share.within) == (1, 1, False)


def test_other_faults_are_over_when_a_task_of_later_submission_succeeded() -> None:
    history = History()
    history.transitions = [*passed(4.95, "early"), *passed(6.0, "late")]
    history.faults = [Injected(3.0, 5.0, "freeze-redis", "redis-1")]
    [recovery] = recoveries(history, {"freeze-redis": 10.0})
    assert recovery.alone == [1.2]
    assert recovery.within is True


def test_postgres_is_back_when_a_submit_is_answered() -> None:
    history = History(submits=[accepted(4.0, "a"), accepted(6.5, "b")])
    history.faults = [Injected(4.5, 5.0, "kill-postgres", "postgres-1")]
    assert named(history, "Postgres back").alone == [1.5]


def test_everything_is_counted() -> None:
    history = History()
    history.transitions = [*passed(0.0, "a"), *rerun("b", lost=2.0, again=2.5), change(3.0, "c", None, "QUEUED")]
    history.submits = [
        accepted(0.0, "a"),
        accepted(0.1, "a", deduplicated=True),
        accepted(0.0, "c"),
        accepted(0.0, "d")._replace(phase="failed", task=None),
        accepted(0.0, "b")._replace(phase="unknown", task=None),
    ]
    history.ended = [Ended(1.0, "w", "s1", "b", 1, "SUCCEEDED"), Ended(3.5, "w", "s2", "b", 2, "SUCCEEDED")]
    found = counts(history)
    assert (found.submitted, found.accepted, found.deduplicated, found.refused) == (5, 2, 1, 1)
    assert (found.unknown, found.unknown_done, found.lost) == (1, 1, 1)
    assert (found.ended, found.rerun, found.late_refused) == ({"SUCCEEDED": 2}, 1, 1)
    assert (found.accepted_twice, found.crash_looped, found.purged) == (0, 0, 0)


def test_a_second_outcome_is_counted() -> None:
    history = History(transitions=[*passed(0.0, "a"), change(1.0, "a", "SUCCEEDED", "FAILED", attempt=1)])
    assert counts(history).accepted_twice == 1


def test_throughput_is_told_by_the_second() -> None:
    found = samples([*passed(0.0, "a"), change(0.5, "b", None, "QUEUED"), *passed(2.0, "c")])
    assert [sample.backlog for sample in found] == [1, 1, 1]
    assert [(sample.accepted, sample.started, sample.ended) for sample in found] == [(2, 1, 1), (0, 0, 0), (1, 1, 1)]


def test_percentiles_are_measured_values() -> None:
    found = spread([float(number) for number in range(1, 101)])
    assert found is not None
    assert (found.count, found.p50, found.p99, found.max) == (100, 50.0, 99.0, 100.0)
    assert spread([]) is None
