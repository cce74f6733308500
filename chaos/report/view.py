"""What the page and the summary say, worked out of a result."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from chaos.report.wording import NOTHING, duration, number, percent, plural, seconds, size, small, spread
from chaos.result import CALM, FaultRecord, Recovery, Result, Violated

_STORIES = 40
"""Most violations told in full; all of them are in the data."""
_AT_ONCE = 0.1
_LINES = 200
"""Most lines of one story."""


class Row(NamedTuple):
    """A figure with its name, what it means, and whether it is as it must be (None: nothing to judge)."""

    name: str
    value: str
    meaning: str
    good: bool | None = None


class RecoveryRow(NamedTuple):
    """One kind of recovery: count, p50, p99 and maximum when alone and when overlapped."""

    name: str
    what: str
    bound: str
    alone: tuple[str, str, str, str]
    overlapped: tuple[str, str, str, str]
    verdict: str


class FaultRow(NamedTuple):
    """One kind of fault."""

    family: str
    fault: str
    times: str
    lasted: str
    targets: str
    failed: str


def headline(result: Result) -> str:
    """The finding in one sentence."""
    counts = result.counts
    return (
        f"{number(counts.lost)} of {number(counts.accepted)} accepted tasks lost, "
        f"{number(counts.accepted_twice)} accepted twice, {plural(broken(result), 'invariant violation')} "
        f"under {plural(len(injected(result)), 'fault')} in {duration(result.facts.ended_at)}."
    )


def confidence(result: Result) -> str:
    """What the absence of a loss says, and what it does not."""
    trials = number(result.confidence.trials)
    if result.counts.lost or result.counts.accepted_twice:
        return "Tasks were lost or accepted twice; there is no bound to state."
    return (
        f"None of {trials} says: at 95 % confidence, fewer than 3 of {trials} would be "
        f"(below {small(result.confidence.upper)}), under faults like these, each task taken for a trial of its own."
    )


def obstacles(result: Result) -> list[str]:
    """Each reason why the run did not pass."""
    found = [f"{row.name}: {row.value}" for row in verdict_rows(result) if row.good is False]
    found += [f"{name}: {plural(count, 'violation')}" for name, count in result.checks.items() if count]
    for recovery in result.recoveries:
        if recovery.within is False and recovery.alone_spread and recovery.bound is not None:
            late = f"p99 {seconds(recovery.alone_spread.p99)}, bound {seconds(recovery.bound)}"
            found.append(f"{recovery.name}: {late}")
    for share in result.shares:
        if not share.within:
            found.append(f"{share.name}: {percent(share.part, share.whole)}, bound {percent(share.bound, 1)}")
    for check in result.rest:
        if not check.within:
            found.append(
                f"{check.name}: {size(check.end, check.unit)} at the end, {size(check.allowed, check.unit)} allowed"
            )
    if result.facts.drained_at is None:
        found.append("not every task had ended when the time for it was up")
    return found


def verdict_rows(result: Result) -> list[Row]:
    """The figures that come first."""
    counts = result.counts
    return [
        Row("accepted", number(counts.accepted), "tasks acknowledged to a client"),
        Row("lost", number(counts.lost), "acknowledged and never ended", not counts.lost),
        Row(
            "accepted twice", number(counts.accepted_twice), "more than one accepted outcome", not counts.accepted_twice
        ),
        Row("violations", number(broken(result)), f"of {len(result.checks)} invariants", not broken(result)),
        Row("faults", number(len(injected(result))), f"of {len({f.fault for f in injected(result)})} kinds"),
        Row("run again", percent(counts.rerun, counts.started), "attempts after a lost session"),
    ]


def count_rows(result: Result) -> list[Row]:
    """Everything that was counted."""
    counts, accepted = result.counts, result.counts.accepted
    return [
        Row("submitted", number(counts.submitted), "submissions tried"),
        Row("accepted", number(accepted), f"acknowledged, each another task: {percent(accepted, counts.submitted)}"),
        Row("deduplicated", number(counts.deduplicated), "acknowledged as a task that was there already"),
        Row("refused", number(counts.refused), "surely not done"),
        Row("unknown", number(counts.unknown), "may have been done: the connection broke, or the time was up"),
        Row("unknown, done", number(counts.unknown_done), "of those, found in the database"),
        *(Row(f"ended {state}", number(tasks), "tasks") for state, tasks in sorted(counts.ended.items())),
        Row("purged", number(counts.purged), "ended, and deleted once their retention was over, or on request"),
        Row("lost", number(counts.lost), "acknowledged and never ended", not counts.lost),
        Row(
            "accepted twice", number(counts.accepted_twice), "more than one accepted outcome", not counts.accepted_twice
        ),
        Row("attempts", number(counts.started), "begun by workers"),
        Row("run again", number(counts.rerun), "attempts after a lost session, rather than after a failure"),
        Row("refused late", number(counts.late_refused), "results that came too late, and were rightly refused"),
        Row("crash looped", number(counts.crash_looped), "given up after too many lost sessions"),
        Row("transitions", number(counts.transitions), "changes of task rows that were recorded and checked"),
    ]


def recovery_rows(recoveries: Sequence[Recovery]) -> list[RecoveryRow]:
    """One row for each kind of recovery."""
    return [
        RecoveryRow(
            recovery.name,
            recovery.what,
            NOTHING if recovery.bound is None else seconds(recovery.bound),
            spread(recovery.alone_spread),
            spread(recovery.overlapped_spread),
            _verdict(recovery),
        )
        for recovery in recoveries
    ]


def _verdict(recovery: Recovery) -> str:
    if recovery.bound is None:
        return "shown"
    return {True: "kept", False: "broken", None: "not measured"}[recovery.within]


def bounds(result: Result) -> str:
    """How many of the bounds were kept, and how many were put to the test at all."""
    judged = [_verdict(recovery) for recovery in result.recoveries if recovery.bound is not None]
    untested = f", {judged.count('not measured')} not measured" if "not measured" in judged else ""
    back = sum(check.within for check in result.rest)
    return (
        f"Recovery: {judged.count('kept')} of {len(judged)} bounds kept{untested}. "
        f"At rest: {back} of {len(result.rest)} sizes back to the start."
    )


def in_order(recoveries: Sequence[Recovery]) -> list[Recovery]:
    """First what has a bound, those with most to say first."""
    return sorted(recoveries, key=lambda found: (found.bound is None, -len(found.alone), found.name))


def share_rows(result: Result) -> list[Row]:
    """Parts that must stay small."""
    return [
        Row(
            share.name,
            percent(share.part, share.whole),
            f"{number(share.part)} of {number(share.whole)}, at most {percent(share.bound, 1)}",
            share.within,
        )
        for share in result.shares
    ]


def fault_rows(result: Result) -> list[FaultRow]:
    """One row for each kind of fault, by family."""
    kinds: dict[tuple[str, str], list[FaultRecord]] = defaultdict(list)
    for fault in result.faults:
        kinds[(fault.family, fault.fault)].append(fault)
    return [_fault_row(family, kind, found) for (family, kind), found in sorted(kinds.items())]


def _fault_row(family: str, kind: str, found: Sequence[FaultRecord]) -> FaultRow:
    done = [fault for fault in found if fault.error is None]
    failed = [fault.error for fault in found if fault.error is not None]
    lasting = [fault.healed - fault.began for fault in done]
    targets = Counter(part.strip() for fault in done for part in fault.target.split(",") if part.strip())
    return FaultRow(
        family,
        kind,
        number(len(done)),
        _lasted(lasting),
        ", ".join(f"{target} {times}" for target, times in targets.most_common(6)),
        f"{len(failed)}: {failed[-1]}" if failed else "",
    )


def _lasted(times: Sequence[float]) -> str:
    if not times:
        return NOTHING
    if max(times) < _AT_ONCE:
        return "at once"
    return f"{seconds(median(times))}, up to {seconds(max(times))}"


def stories(result: Result) -> list[Violated]:
    """The violations that are told, each no longer than can be read."""
    return [
        Violated(told.invariant, told.message, told.task, [*told.story[:_LINES], *_omitted(told.story)])
        for told in result.violations[:_STORIES]
    ]


def _omitted(story: Sequence[str]) -> list[str]:
    return [f"… {number(len(story) - _LINES)} more lines in report.json"] if len(story) > _LINES else []


def rest_rows(result: Result) -> list[tuple[str, str, str, str, bool]]:
    """Name, size at the start and at the end, what is allowed, whether it is kept."""
    return [
        (
            check.name,
            size(check.start, check.unit),
            size(check.end, check.unit),
            size(check.allowed, check.unit),
            check.within,
        )
        for check in result.rest
    ]


def environment_rows(result: Result) -> list[tuple[str, str]]:
    """Where and how it was run."""
    facts, machine = result.facts, result.facts.machine
    return [
        ("begun", facts.started_at),
        ("load", f"{duration(facts.loaded_until)}, then healed and drained until {duration(facts.ended_at)}"),
        ("preset, backend", f"{facts.preset}, {facts.backend}"),
        ("seed", str(facts.seed)),
        ("parts", ", ".join(f"{count} {role}" for role, count in facts.parts.items())),
        ("workloads", ", ".join(f"{name} {percent(share, 1)}" for name, share in facts.workloads.items()) or NOTHING),
        ("machine", f"{machine.system}, {machine.processors} processors, {size(machine.memory_bytes, 'bytes')}"),
        ("versions", ", ".join(f"{part} {version}" for part, version in facts.versions.items())),
        ("Python", machine.python),
    ]


def command(result: Result) -> str:
    """What plans the same faults again."""
    if result.facts.preset == CALM:
        return f".venv/bin/python -m chaos recoveries --seed {result.facts.seed}"
    return f"make chaos MINUTES={result.facts.minutes:g} SEED={result.facts.seed}"


def injected(result: Result) -> list[FaultRecord]:
    """The faults that did happen."""
    return [fault for fault in result.faults if fault.error is None]


def broken(result: Result) -> int:
    """Violations of all invariants together."""
    return sum(result.checks.values())
