"""Experiments from the command line: `python -m chaos --help`."""

import asyncio
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from chaos.backends.cluster import Capability
from chaos.backlog import as_recoveries, measure_refills
from chaos.experiments import PRESETS, Preset, besieged, plan, siege
from chaos.faults import abuse, all_faults, possible_faults
from chaos.judgement import evidence_of, judge
from chaos.measures.recoveries import QUIET
from chaos.outcome import shortcomings, with_recoveries
from chaos.recoveries import GAP, LOAD, repetitions, table
from chaos.report import write_report
from chaos.result import CALM, Result
from chaos.run import Experiment, run
from chaos.staging import HONEST, SHARES, cluster_for, honest_load, load_for
from chaos.workloads.fleet import Language

LONG_MINUTES = 10.0
TOLD = 20
"""As many reasons for a failure as are printed; the report has all."""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Break a Taskyard cluster on purpose, and prove from what was recorded that nothing was lost or done twice.",
)

Seed = Annotated[int | None, typer.Option(help="Decides the plan and the load; drawn and printed if not given.")]
Minutes = Annotated[float | None, typer.Option(help="How long the load lasts; the preset's time if not given.")]
PresetName = Annotated[
    str, typer.Option("--preset", help=f"How dense: {', '.join(PRESETS)}. Long runs are full, short ones quick.")
]
Backend = Annotated[
    str, typer.Option(help="Where: local (processes of this machine) or kubernetes (see CHAOS_* in chaos/staging.py).")
]


@app.command("run")
def run_command(  # noqa: PLR0917 - options, not arguments
    seed: Seed = None,
    minutes: Minutes = None,
    preset: PresetName = "",
    backend: Backend = "local",
    out: Annotated[Path | None, typer.Option(help="Where the report and the history go; must not exist.")] = None,
    rate: Annotated[float | None, typer.Option(help="Tasks a second; the preset's if not given.")] = None,
    fleet: Annotated[str, typer.Option(help="Languages of the workers: python,go,typescript.")] = "python",
) -> None:
    """Run an experiment and write its report; ends with 1 if anything was violated."""
    seed = _seed(seed)
    preset = preset or ("full" if (minutes or 0.0) >= LONG_MINUTES else "quick")
    chosen = _preset(preset).lasting(minutes).loaded(rate)
    directory = _directory(out, f"{preset}-{seed}")
    experiment = Experiment(
        seed=seed,
        preset_name=preset,
        preset=chosen,
        backend=backend,
        out=directory,
        workload=load_for,
        shares=SHARES,
    )
    typer.echo(f"seed {seed}, {chosen.seconds / 60:g} minutes, into {directory}")
    cluster = cluster_for(backend, directory, chosen, _languages(fleet))
    result = asyncio.run(run(experiment, cluster, typer.echo))
    _report(result, directory)
    sys.exit(0 if result.passed else 1)


@app.command("abuse")
def abuse_command(
    seed: Seed = None,
    minutes: Minutes = None,
    only: Annotated[str, typer.Option(help="One of the abuses, not all at once.")] = "",
    out: Annotated[Path | None, typer.Option(help="Where the report and the history go; must not exist.")] = None,
) -> None:
    """Let greedy clients abuse a cluster beside an honest load, and see what it costs the others; 20 minutes."""
    seed, preset = _seed(seed), _preset("abuse").lasting(minutes)
    directory = _directory(out, f"abuse-{seed}")
    abuses = {fault.name: fault for fault in abuse.faults(besieged(preset)) if only in ("", fault.name)}
    experiment = Experiment(
        seed=seed,
        preset_name="abuse",
        preset=preset,
        backend="local",
        out=directory,
        workload=honest_load,
        shares=HONEST,
        steps=siege(preset, abuses.values()),
        abuses=abuses,
    )
    typer.echo(f"seed {seed}, {preset.seconds / 60:g} minutes of {', '.join(abuses)}, into {directory}")
    result = asyncio.run(run(experiment, cluster_for("local", directory, preset), typer.echo))
    _report(result, directory)
    typer.echo(
        "\n".join(f"{check.name}: {check.end:g} {check.unit}" for check in result.rest if "honest" in check.name)
    )
    sys.exit(0 if result.passed else 1)


@app.command("recoveries")
def recoveries_command(  # noqa: PLR0917 - options, not arguments
    seed: Seed = None,
    times: Annotated[int, typer.Option(min=0, help="How often each fault comes whose recovery is promised.")] = 10,
    others: Annotated[int, typer.Option(min=0, help="How often every other fault of the list comes.")] = 0,
    wipes: Annotated[int, typer.Option(min=0, help="How often Redis is wiped with 100,000 tasks queued.")] = 5,
    backend: Backend = "local",
    out: Annotated[Path | None, typer.Option(help="Where the report and the history go; must not exist.")] = None,
) -> None:
    """Measure recoveries on a calm cluster: each fault alone, several times; ends with 1 if a bound was not kept."""
    seed = _seed(seed)
    steps = repetitions(times, others, seed, all_faults())
    if not steps:
        raise typer.BadParameter("without --others, at least 1", param_hint="--times")
    preset = replace(LOAD, seconds=steps[-1].ends + GAP + QUIET)
    directory = _directory(out, f"recoveries-{seed}")
    experiment = Experiment(
        seed=seed,
        preset_name=CALM,
        preset=preset,
        backend=backend,
        out=directory,
        workload=load_for,
        shares=SHARES,
        steps=steps,
    )
    result = asyncio.run(run(experiment, cluster_for(backend, directory, preset), typer.echo))
    write_report(result, directory)
    if wipes:
        refills = asyncio.run(measure_refills(cluster_for(backend, directory / "backlog", preset), wipes, typer.echo))
        result = with_recoveries(result, as_recoveries(refills))
    _report(result, directory)
    typer.echo("\n".join(table(result.recoveries)))
    sys.exit(0 if result.passed else 1)


@app.command("plan")
def plan_command(seed: Seed = None, minutes: Minutes = None, preset: PresetName = "full") -> None:
    """Print which faults would come when, on a cluster that can suffer all of them."""
    steps = plan(_seed(seed), _preset(preset).lasting(minutes), possible_faults(Capability))
    for step in steps:
        alone = "alone" if step.alone else ""
        typer.echo(f"{step.at:9.3f}  {step.duration:7.3f} s  {step.fault:28} {step.target:34} {alone}".rstrip())
    typer.echo(f"{len(steps)} faults of {len({step.fault for step in steps})} kinds")


@app.command("check")
def check_command(
    directory: Annotated[Path, typer.Argument(help="What was given to `run` as --out.")],
    out: Annotated[Path | None, typer.Option(help="Where a report of this judgement goes; must not exist.")] = None,
) -> None:
    """Judge what a run recorded again; ends with 1 if it does not pass."""
    result = judge(evidence_of(directory), load_for)
    for name, violations in result.checks.items():
        typer.echo(f"{violations:6}  {name}")
    if out is None:
        typer.echo("\n".join(shortcomings(result)))
    else:
        _report(result, _directory(out, directory.name))
    sys.exit(0 if result.passed else 1)


def _directory(given: Path | None, name: str) -> Path:
    directory = (given or Path(".chaos") / name).resolve()
    if directory.exists():
        raise typer.BadParameter(f"{directory} exists", param_hint="--out")
    directory.mkdir(parents=True)
    return directory


def _report(result: Result, directory: Path) -> None:
    page = write_report(result, directory)
    for reason in shortcomings(result)[:TOLD]:
        typer.echo(reason)
    typer.echo(f"{'PASSED' if result.passed else 'FAILED'}, see {page}")


def _seed(given: int | None) -> int:
    return random.SystemRandom().randrange(2**31) if given is None else given


def _languages(fleet: str) -> list[Language]:
    try:
        return [Language(name) for name in fleet.split(",")]
    except ValueError as error:
        raise typer.BadParameter(f"there are {', '.join(Language)}", param_hint="--fleet") from error


def _preset(name: str) -> Preset:
    if name not in PRESETS:
        raise typer.BadParameter(f"there are {', '.join(PRESETS)}", param_hint="--preset")
    return PRESETS[name]


if __name__ == "__main__":
    app()
