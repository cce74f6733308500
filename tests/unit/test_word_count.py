"""The demo's plan and report."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from examples.word_count.kill import LeaderKill, WorkerKill
from examples.word_count.plan import SSD_WORKER, Plan, count_plainly, make_plan, standard_library
from examples.word_count.report import Report
from examples.word_count.run import Outcome
from taskyard import Attempt, AttemptOutcome, Task, TaskState

LOST_SESSION = "session-lost"


def plan_of(number: int) -> Plan:
    return make_plan([Path(f"/lib/{place}.py") for place in range(number)])


def task(task_id: str, state: TaskState = TaskState.SUCCEEDED, **fields: str) -> Task:
    values: dict[str, object] = dict.fromkeys(Task.__slots__)
    values.update(id=task_id, state=state, selector="", worker="worker-1", **fields)
    return Task(**values)  # type: ignore[arg-type]


def attempt(task_id: str, number: int, outcome: AttemptOutcome, session: str = "session-1") -> Attempt:
    return Attempt(task_id, number, session, "worker-1", "", "", None, None, outcome, None)


def good_report() -> Report:
    plan = plan_of(40)
    ids = [f"task-{place}" for place in range(40)]
    attempts: dict[str, tuple[Attempt, ...]] = {
        task_id: (attempt(task_id, 1, AttemptOutcome.SUCCEEDED),) for task_id in ids
    }
    attempts["task-7"] = (
        attempt("task-7", 1, AttemptOutcome.CRASHED, LOST_SESSION),
        attempt("task-7", 2, AttemptOutcome.SUCCEEDED),
    )
    outcome = Outcome(
        deduplicated=plan.duplicates,
        tasks={task_id: task(task_id) for task_id in ids},
        attempts=attempts,
        worker_kill=WorkerKill("worker-2", 12, LOST_SESSION, 1),
        leader_kill=LeaderKill("dispatcher-1", 13, 3, "dispatcher-2", 5, 4.25),
        seconds=4.0,
        rate_before_kill=1234.0,
    )
    counts = Counter(word=3)
    return Report(plan, outcome, counts, Counter(counts))


def test_a_task_for_each_file_and_one_in_twenty_twice() -> None:
    plan = plan_of(200)
    keys = Counter(request.idempotency_key for request in plan.requests)
    assert len(keys) == 200
    assert Counter(keys.values()) == {1: 190, 2: 10}
    assert plan.duplicates == 10


def test_all_priorities_and_a_tenth_for_the_ssd() -> None:
    plan = plan_of(200)
    assert {request.priority for request in plan.requests} == set(range(11))
    originals = {request.idempotency_key: request for request in plan.requests}.values()
    assert sum(request.selector == "io=ssd" for request in originals) == plan.restricted == 20


def test_a_duplicate_is_the_same_request() -> None:
    by_key: dict[str | None, set[str]] = {}
    for request in plan_of(100).requests:
        by_key.setdefault(request.idempotency_key, set()).add(repr(request))
    assert {len(different) for different in by_key.values()} == {1}


def test_the_standard_library_without_what_was_installed() -> None:
    files = list(standard_library())
    assert len(files) > 200
    assert any(path.name == "argparse.py" for path in files)
    assert not any("site-packages" in path.parts for path in files)


def test_the_plain_count_takes_any_bytes(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"a b a\n\xff c")
    (tmp_path / "two").write_bytes(b"b")
    assert count_plainly([tmp_path / "one", tmp_path / "two"]) == Counter({"a": 2, "b": 2, "\ufffd": 1, "c": 1})


def test_a_good_run_passes() -> None:
    text = good_report().text()
    assert text.endswith("PASS")
    assert "worker-2: 1 attempts lost, 1 re-run" in text
    assert "dispatcher-2 leads after 4.2 s (term 3 -> 5)" in text
    assert "always 1" in text
    assert "10 tasks/s" not in text


def _more(report: Report, **fields: object) -> Report:
    return replace(report, outcome=replace(report.outcome, **fields))  # type: ignore[arg-type]


def _twice(report: Report) -> Report:
    ended = tuple(attempt("task-3", number, AttemptOutcome.SUCCEEDED) for number in (1, 2))
    return _more(report, attempts={**report.outcome.attempts, "task-3": ended})


def _strayed(report: Report) -> Report:
    strayed = replace(report.outcome.tasks["task-3"], selector="io=ssd", worker="worker-1")
    assert strayed.worker != SSD_WORKER
    return _more(report, tasks={**report.outcome.tasks, "task-3": strayed})


def _failed(report: Report) -> Report:
    return _more(report, tasks={**report.outcome.tasks, "task-3": task("task-3", TaskState.FAILED)})


def _missing(report: Report) -> Report:
    return _more(report, tasks={"task-1": report.outcome.tasks["task-1"]})


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (_twice(good_report()), "not always 1"),
        (_strayed(good_report()), "ran elsewhere"),
        (_failed(good_report()), "1 FAILED"),
        (_missing(good_report()), "40 tasks were submitted, 1 are over"),
        (_more(good_report(), deduplicated=1), "1 duplicates were refused, not 2"),
        (_more(good_report(), refused=["no room"]), "1 submits failed, the first: no room"),
        (_more(good_report(), worker_kill=None), "no worker held a task"),
        (_more(good_report(), leader_kill=None), "no leader was killed"),
        (_more(good_report(), attempts={}), "the killed worker lost no attempt"),
        (replace(good_report(), counted=Counter(word=2, other=1)), "differ from the plain count in 2 words"),
    ],
)
def test_whatever_is_wrong_fails_and_is_named(bad: Report, said: str) -> None:
    text = bad.text()
    assert text.endswith("FAIL")
    assert said in text


def test_an_unfinished_run_still_gives_a_report() -> None:
    assert Report(plan_of(3), Outcome(), Counter(), Counter(word=1)).text().endswith("FAIL")
