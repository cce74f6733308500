"""The Python SDK held to the conformance cases, and the kit itself."""

import asyncio
import os
from pathlib import Path

import pytest

from conformance import case as cases
from conformance import sdks
from conformance.case import Case
from conformance.runner import Outcome, Runner, Verdict
from conformance.testee import mutation

BEHAVIOURS, CASES = cases.load()
PYTHON = sdks.load()["python"]
# One of each behaviour; `make conformance` runs all.
SELECTED = list({case.shows: case for case in reversed(CASES) if not case.slow}.values())
AT_ONCE = 8
# Shared with other tests that load the machine.
PATIENCE = 3.0


async def test_the_python_sdk_shows_every_behaviour() -> None:
    runner, places = Runner(PYTHON, patience=PATIENCE), asyncio.Semaphore(AT_ONCE)

    async def run(case: Case) -> Verdict:
        async with places:
            return await runner.run(case)

    verdicts = await asyncio.gather(*map(run, SELECTED))
    bad = [verdict for verdict in verdicts if verdict.outcome not in (Outcome.PASSED, Outcome.SKIPPED)]
    assert not bad, "\n".join(f"{verdict.case.case}: {verdict.told}\n{verdict.said}" for verdict in bad)
    assert len([verdict for verdict in verdicts if verdict.outcome is Outcome.PASSED]) == len(BEHAVIOURS)


@pytest.mark.parametrize("name", ["hello-alone-first", "sent-again", "key-and-dedup", "meaning-of-results"])
async def test_a_broken_sdk_fails(name: str) -> None:
    case = next(case for case in CASES if case.case == name)
    for broken in case.broken:
        verdict = await Runner(PYTHON).run(case, broken)
        assert verdict.outcome is Outcome.FAILED, f"{broken}: {verdict.outcome} {verdict.told}"


def test_each_behaviour_is_shown_but_by_what_no_sdk_has_yet() -> None:
    assert BEHAVIOURS.keys() == set(range(1, 51))
    assert {case.shows for case in CASES} == BEHAVIOURS.keys()


def test_every_way_to_break_the_sdk_fits_its_source_and_is_used() -> None:
    source = Path("sdk/python/src/taskyard")
    for name, change in mutation.listed().items():
        assert change.applied((source / change.file).read_text()), name
    assert {name for case in CASES for name in case.broken} == mutation.listed().keys()


@pytest.mark.parametrize(
    "step",
    [
        "{hello: {slotz: 4}}",
        "{expect: {result: {task: t1}}}",
        "{expect: {results: []}}",
        "{never: {heartbeat: {}}, four: 1s}",
        "{send: {welcome: {interval: 3s}}}",
        "{never: {heartbeat: {}}, for: 1}",
        "{expect: {result: {attempt: {$atleast: 1}}}}",
        "{next: Submit, lose: true}",
        "{wait: 1s}",
    ],
)
def test_a_slip_in_a_case_is_an_error(step: str) -> None:
    head = "behaviours: {1: one}\ncases:\n  - {case: x, shows: 1, title: x, broken: [y], steps: ["
    with pytest.raises(ValueError, match="cases"):
        cases.read(f"{head}{step}]}}\n")


async def test_a_testee_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    sdk = sdks.Sdk(command=[str(tmp_path / "nothing")], directory=os.curdir)
    assert (await Runner(sdk).run(CASES[0])).outcome is Outcome.ERROR
