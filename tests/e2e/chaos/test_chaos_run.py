"""Three minutes of everything at once on real processes, with another seed each time."""

import random
import sys
from pathlib import Path

import pytest

from chaos.experiments import PRESETS
from chaos.judgement import REPORT, evidence_of, judge
from chaos.outcome import shortcomings
from chaos.report import write_report
from chaos.result import read_result
from chaos.run import Experiment, run
from chaos.staging import SHARES, cluster_for, load_for


@pytest.mark.timeout(900)
@pytest.mark.usefixtures("tools")
async def test_nothing_is_lost_or_accepted_twice_whatever_is_broken(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**31)
    print(f"replay with: make chaos MINUTES=3 SEED={seed}")
    out = tmp_path / "run"
    experiment = Experiment(
        seed=seed,
        preset_name="quick",
        preset=PRESETS["quick"],
        backend="local",
        out=out,
        workload=load_for,
        shares=SHARES,
    )
    result = await run(
        experiment, cluster_for("local", out, PRESETS["quick"]), lambda line: print(line, file=sys.stderr)
    )

    assert not result.violations, "\n".join(shortcomings(result))
    assert (result.counts.lost, result.counts.accepted_twice) == (0, 0)
    assert result.facts.drained_at is not None
    assert result.counts.accepted > 1_000
    injected = [fault for fault in result.faults if fault.error is None]
    assert len(injected) >= 20, [fault.error for fault in result.faults if fault.error]

    assert write_report(result, out).stat().st_size > 0
    assert read_result(out / REPORT) == result
    # What was saved says the same to whoever judges it again.
    again = judge(evidence_of(out), load_for)
    assert (again.counts, again.checks) == (result.counts, result.checks)
