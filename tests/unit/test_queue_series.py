"""However many queues there are, few have series of their own, and a scrape is an answer."""

import re

from taskyard_core.domain.task import TaskSpec, TaskState
from taskyard_core.telemetry.backlog_series import BacklogSeries
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.telemetry.gauges import BacklogReading, QueueReading
from taskyard_core.telemetry.queue_series import QueueSeries

STATES = (TaskState.SCHEDULED, TaskState.BLOCKED, TaskState.QUEUED, TaskState.RUNNING, TaskState.FAILED)


def reading(name: str, queued: int = 0, oldest: float = 0.0) -> QueueReading:
    return QueueReading("n", name, {state: queued if state is TaskState.QUEUED else 0 for state in STATES}, oldest)


def test_a_series_stays_at_zero_and_makes_way_for_a_queue_with_tasks() -> None:
    series = QueueSeries(limit=2)
    assert [shown.queue for shown in series.show([reading("a", 1), reading("b")])] == ["a", "b"]
    shown = series.show([reading("c", 3)])
    assert {(one.queue, one.depth[TaskState.QUEUED]) for one in shown} == {("b", 0), ("c", 3)}
    shown = series.show([])
    assert {(one.queue, one.depth[TaskState.QUEUED]) for one in shown} == {("b", 0), ("c", 0)}


def test_queues_beyond_the_limit_are_one() -> None:
    series = QueueSeries(limit=2)
    shown = series.show([reading(f"q{number}", 2, float(number)) for number in range(5)])
    assert [(one.queue, one.depth[TaskState.QUEUED], one.oldest_seconds) for one in shown] == [
        ("q0", 2, 0.0),
        ("q1", 2, 1.0),
        ("other", 6, 4.0),
    ]


def test_a_scrape_has_a_bounded_number_of_series_whatever_clients_name() -> None:
    telemetry = Telemetry.silent()
    queues, backlogs = QueueSeries(), BacklogSeries()
    names = [f"q{number}" for number in range(30_000)]
    telemetry.submitted(names, [TaskSpec(f"type{name}", b"", queue=name) for name in names])
    telemetry.gauges.queues = lambda: queues.show([reading(name, 1) for name in names])
    waiting = {("n", name, f"host={name}"): 1 for name in names}
    telemetry.gauges.backlogs = lambda: backlogs.show([("n", name) for name in names], waiting)
    body, _ = telemetry.metrics.exposition()
    text = body.decode()
    families: dict[str, int] = {}
    for name in re.findall(r"^(\w+)[{ ]", text, re.MULTILINE):
        families[name] = families.get(name, 0) + 1
    assert max(families.values()) <= 6 * 1001
    assert families["taskyard_queue_depth"] == 5 * 1001
    assert families["taskyard_queue_backlog"] == 1001
    assert 'taskyard_queue_depth{namespace="other",queue="other",state="QUEUED"} 29000' in text
    assert backlogs.show([], waiting)[-1] == BacklogReading("other", "other", "other", 29_000)
