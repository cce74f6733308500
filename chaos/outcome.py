"""From a history and the facts of a run to its result. Pure."""

from collections.abc import Mapping, Sequence

from chaos.checks import Verdict
from chaos.history.record import History
from chaos.measures.counts import counts, samples
from chaos.measures.recoveries import recoveries, shares
from chaos.result import Confidence, Facts, FaultRecord, RestCheck, Result, Violated


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
    return Result(
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
        passed=verdict.good
        and not counted.lost
        and not counted.accepted_twice
        and facts.drained_at is not None
        and all(recovery.within is not False for recovery in recovered)
        and all(share.within for share in shared)
        and all(check.within for check in rest),
    )
