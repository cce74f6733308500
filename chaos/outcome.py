"""From a history and the facts of a run to its result. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from chaos.checks import Verdict
from chaos.history.record import History
from chaos.measures.counts import counts, samples
from chaos.measures.recoveries import recoveries, shares
from chaos.result import Confidence, Facts, FaultRecord, Recovery, RestCheck, Result, Violated


def outcome(
    history: History,
    verdict: Verdict,
    facts: Facts,
    *,
    faults: Sequence[FaultRecord],
    rest: Sequence[RestCheck],
    bounds: Mapping[str, float],
    checks: Sequence[str],
) -> Result:
    """Everything that is reported. It passed if nothing was violated, nothing lost, and every bound kept."""
    counted = counts(history)
    recovered = recoveries(history, bounds)
    shared = shares(history)
    trials = max(1, counted.accepted)
    result = Result(
        facts=facts,
        counts=counted,
        samples=samples(history.transitions),
        faults=list(faults),
        recoveries=recovered,
        shares=shared,
        violations=[Violated(v.invariant, v.message, v.task, list(v.story)) for v in verdict.violations],
        rest=list(rest),
        confidence=Confidence(trials, 3 / trials),
        checks={name: verdict.counts.get(name, 0) for name in checks},
        passed=False,
    )
    return replace(result, passed=not shortcomings(result))


def with_recoveries(result: Result, more: Sequence[Recovery]) -> Result:
    """The result with recoveries that were measured apart."""
    extended = replace(result, recoveries=[*result.recoveries, *more])
    return replace(extended, passed=not shortcomings(extended))


def shortcomings(result: Result) -> list[str]:
    """Why a run did not pass, a line each."""
    return [
        *(f"VIOLATED {violation.invariant}: {violation.message}" for violation in result.violations),
        *([f"{result.counts.lost} tasks were lost"] if result.counts.lost else []),
        *([f"{result.counts.accepted_twice} outcomes were accepted twice"] if result.counts.accepted_twice else []),
        *(["not all tasks ended in time"] if result.facts.drained_at is None else []),
        *(
            f"TOO LATE {recovery.name}: p99 {recovery.alone_spread.p99:.2f} s, may be {recovery.bound:g} s"
            for recovery in result.recoveries
            if recovery.within is False and recovery.alone_spread is not None
        ),
        *(f"TOO MANY {share.name}: {share.part} of {share.whole}" for share in result.shares if not share.within),
        *(
            f"NOT AT REST {check.name}: {check.end:g} {check.unit}, may be {check.allowed:g}"
            for check in result.rest
            if not check.within
        ),
    ]
