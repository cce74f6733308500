"""Which metrics there are: names, units, and where their values come from.

Counters begin at 0 with the first submission or attempt of a kind that a process sees: one that appeared with its first
burst would not show it as an increase.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from taskyard_core.domain.task import Outcome, TaskState
from taskyard_core.telemetry.gauges import Gauges
from taskyard_core.telemetry.ledger import Ledger
from taskyard_core.telemetry.tally import Tally

_Reading = TypeVar("_Reading")
_FINISHED = [(str(state), 0) for state in (TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED)]
_ENDED = [(str(outcome), 0) for outcome in Outcome]
_REQUEUED = [(str(outcome), 0) for outcome in (Outcome.CRASHED, Outcome.RELEASED)]


def create_counters(meter: Meter, ledger: Ledger) -> None:
    """Register every counter."""

    def counter(begun: Callable[[Tally], bool], name: str, description: str, count: Callable[[Tally], int]) -> None:
        def observe(_: CallbackOptions) -> Iterator[Observation]:
            for tally in ledger.tallies.all():
                if (total := count(tally)) or begun(tally):
                    yield Observation(total, tally.labels)

        meter.create_observable_counter(name, [observe], description=description)

    counter(Tally.taken_in, "taskyard.tasks.submitted", "Tasks stored", lambda tally: tally.submitted)
    counter(Tally.taken_in, "taskyard.tasks.deduplicated", "Submissions of a known key", lambda t: t.deduplicated)
    counter(Tally.taken_in, "taskyard.tasks.redriven", "FAILED tasks given another chance", _redriven)
    counter(Tally.run, "taskyard.tasks.started", "Attempts claimed for a worker", lambda tally: tally.started)
    counter(Tally.run, "taskyard.task.retries", "Failed attempts that will be retried", _retries)
    counter(Tally.run, "taskyard.dead_letters", "Tasks that became FAILED", _dead_letters)
    _outcomes(meter, ledger, "taskyard.tasks.finished", "Tasks that reached a terminal state", _finished)
    _outcomes(meter, ledger, "taskyard.attempts.ended", "Attempts by how they ended", _attempts)
    _outcomes(meter, ledger, "taskyard.tasks.requeued", "Attempts given back without a verdict", _requeued)
    meter.create_observable_counter(
        "taskyard.results.refused",
        [lambda _: [Observation(count, {"reason": reason}) for reason, count in list(ledger.refused.items())]],
        description="Results not accepted, by reason",
    )
    meter.create_observable_counter(
        "taskyard.log_lines.lost",
        [lambda _: [Observation(ledger.lines_lost)]],
        description="Transition log lines that could not be written",
    )


def create_gauges(meter: Meter, gauges: Gauges) -> None:
    """Register every gauge; each reads its callback from `gauges` at the time of a scrape."""

    def gauge(
        name: str,
        description: str,
        callback: Callable[[], Callable[[], _Reading] | None],
        observe: Callable[[_Reading], Iterable[Observation]],
        unit: str = "",
    ) -> None:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            answer = callback()
            return () if answer is None else observe(answer())

        meter.create_observable_gauge(name, [read], unit, description)

    gauge(
        "taskyard.queue.depth",
        "Tasks of a queue by state",
        lambda: gauges.queues,
        lambda queues: (
            Observation(tasks, {"namespace": queue.namespace, "queue": queue.queue, "state": str(state)})
            for queue in queues
            for state, tasks in queue.depth.items()
        ),
    )
    gauge(
        "taskyard.queue.oldest_age",
        "Age of the oldest task that could run",
        lambda: gauges.queues,
        lambda queues: (
            Observation(queue.oldest_seconds, {"namespace": queue.namespace, "queue": queue.queue}) for queue in queues
        ),
        "s",
    )
    gauge(
        "taskyard.queue.backlog",
        "Tasks that could run now if there were workers",
        lambda: gauges.backlogs,
        lambda backlogs: (
            Observation(tasks, {"namespace": namespace, "queue": queue, "selector": selector})
            for namespace, queue, selector, tasks in backlogs
        ),
    )
    gauge("taskyard.sessions", "Worker sessions", lambda: gauges.sessions, lambda n: [Observation(n)])
    gauge("taskyard.slots", "Slots of all sessions", lambda: gauges.slots, lambda slots: [Observation(slots.total)])
    gauge("taskyard.slots.busy", "Slots that run a task", lambda: gauges.slots, lambda slots: [Observation(slots.busy)])
    gauge("taskyard.leader", "1 on the leader", lambda: gauges.leader, lambda leader: [Observation(int(leader.leader))])
    gauge("taskyard.leader.term", "Newest known term", lambda: gauges.leader, lambda leader: [Observation(leader.term)])
    gauge("taskyard.outbox.rows", "Unpublished batches", lambda: gauges.outbox, lambda box: [Observation(box.rows)])
    gauge(
        "taskyard.outbox.oldest_age",
        "Age of the oldest unpublished batch",
        lambda: gauges.outbox,
        lambda outbox: [Observation(outbox.oldest_seconds)],
        "s",
    )
    gauge(
        "taskyard.store.up",
        "1 while the store answers",
        lambda: gauges.stores,
        lambda stores: [Observation(int(up), {"store": store}) for store, up in stores.items()],
    )
    gauge(
        "taskyard.etcd.size",
        "Size of etcd's database",
        lambda: gauges.etcd_size,
        lambda size: [] if size is None else [Observation(size.used)],
        "By",
    )
    gauge(
        "taskyard.etcd.quota",
        "Size beyond which etcd takes no more writes",
        lambda: gauges.etcd_size,
        lambda size: [] if size is None else [Observation(size.quota)],
        "By",
    )
    gauge(
        "taskyard.event_loop.lag",
        "Worst lag of the event loop in the last minute",
        lambda: gauges.loop_lag,
        lambda seconds: [Observation(seconds)],
        "s",
    )


def _outcomes(
    meter: Meter, ledger: Ledger, name: str, description: str, count: Callable[[Tally], Iterable[tuple[str, int]]]
) -> None:
    def observe(_: CallbackOptions) -> Iterator[Observation]:
        for tally in ledger.tallies.all():
            totals: dict[str, int] = {}
            for outcome, tasks in count(tally):
                totals[outcome] = totals.get(outcome, 0) + tasks
            for outcome, total in totals.items():
                yield Observation(total, {**tally.labels, "outcome": outcome})

    meter.create_observable_counter(name, [observe], description=description)


def _finished(tally: Tally) -> Iterator[tuple[str, int]]:
    if tally.run():
        yield from _FINISHED
    elif tally.taken_in():
        yield str(TaskState.CANCELLED), 0
    for (_, target), tasks in list(tally.ends.items()) + list(tally.moves.items()):
        if target.terminal:
            yield str(target), tasks


def _attempts(tally: Tally) -> Iterator[tuple[str, int]]:
    if tally.run():
        yield from _ENDED
    for (outcome, _), tasks in list(tally.ends.items()):
        if outcome is not None:
            yield str(outcome), tasks


def _requeued(tally: Tally) -> Iterator[tuple[str, int]]:
    if tally.run():
        yield from _REQUEUED
    for (outcome, target), tasks in list(tally.ends.items()):
        if outcome is not None and target is TaskState.QUEUED:
            yield str(outcome), tasks


def _retries(tally: Tally) -> int:
    return sum(tasks for (_, target), tasks in list(tally.ends.items()) if target is TaskState.SCHEDULED)


def _dead_letters(tally: Tally) -> int:
    return sum(tasks for (_, target), tasks in list(tally.ends.items()) if target is TaskState.FAILED)


def _redriven(tally: Tally) -> int:
    return sum(tasks for (source, _), tasks in list(tally.moves.items()) if source is TaskState.FAILED)
