"""From what a run has left behind to its result; a better check can judge an old run again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chaos import archive
from chaos.checks import all_checks, verdict
from chaos.faults import all_faults
from chaos.history.record import History
from chaos.machine import commit
from chaos.outcome import outcome
from chaos.result import Facts, FaultRecord, RestCheck, Result, read_result
from chaos.workloads import Workload

HISTORY = "history"
"""Directory of a run's events, below where its report is."""
REPORT = "report.json"
WORKLOAD = "workload"
"""Under this name the workload's own expectations are reported."""
JUDGE = "checks"
"""Under this name a result tells the version that judged it, if that is not the one that was run."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Everything there is to judge once the cluster is gone."""

    history: History
    facts: Facts
    faults: Sequence[FaultRecord]
    rest: Sequence[RestCheck]


def judge(evidence: Evidence, workload: Callable[[], Workload]) -> Result:
    """The result, by all checks and by what the workload itself expects."""
    checks = {**all_checks(), WORKLOAD: workload().check}
    return outcome(
        evidence.history,
        verdict(evidence.history, checks),
        evidence.facts,
        faults=evidence.faults,
        rest=evidence.rest,
        bounds={fault.name: fault.recovery for fault in all_faults().values()},
        checks=list(checks),
    )


def evidence_of(directory: Path) -> Evidence:
    """What an earlier run left in its directory. Raises FileNotFoundError for what is not one."""
    told = read_result(directory / REPORT)
    facts = replace(told.facts, versions={**told.facts.versions, JUDGE: commit()})
    return Evidence(history=archive.restore(directory / HISTORY), facts=facts, faults=told.faults, rest=told.rest)
