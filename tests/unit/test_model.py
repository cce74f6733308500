"""The formal model in docs/spec speaks of what the code has, by the code's names."""

import importlib
import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from taskyard_core.domain.limits import CRASHES_ALLOWED
from taskyard_core.domain.task import TaskState
from taskyard_core.domain.transitions import Event

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "docs" / "spec"
MODEL = (SPEC / "Taskyard.tla").read_text()

# An action that the code takes, under the comment that says where.
_ACTION = re.compile(r"^\\\* code: (\S+)\n(\w+)(?:\(.*\))? ==$", re.MULTILINE)
_NEXT = re.compile(r"^(System|Environment) ==\n(.*?)\n\n", re.MULTILINE | re.DOTALL)
_OPERATOR = re.compile(r"\b[A-Z][A-Za-z]+\b")
_WORD = re.compile(r"[A-Z]?[a-z]+")

FAULTS = {
    "DispatcherCrash",
    "SchedulerCrash",
    "WorkerCrash",
    "StreamBreak",
    "RedisWipe",
    "LeaseLoss",
    "ClaimUnheard",
    "ReclaimEarly",
    "EtcdReplaced",
}
"""What breaks has no name in the code."""


def words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(text)}


def steps() -> set[str]:
    return {name for _, body in _NEXT.findall(MODEL) for name in _OPERATOR.findall(body)} - {"Dispatchers", "Workers"}


def resolve(path: str) -> object:
    """What a dotted path names: a module, then attributes."""
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for name in parts[length:]:
            found = getattr(found, name)
        return found
    raise ModuleNotFoundError(path)


def test_every_step_is_an_action_of_the_code_or_a_fault() -> None:
    assert steps() == {name for _, name in _ACTION.findall(MODEL)} | FAULTS


@pytest.mark.parametrize(("code", "action"), _ACTION.findall(MODEL))
def test_an_action_is_named_as_the_code_is(code: str, action: str) -> None:
    if code.endswith(".sql"):
        assert (ROOT / code).is_file()
    else:
        resolve(code)
    assert words(action) <= words(code)


@pytest.mark.parametrize("event", [event.__name__ for event in get_args(Event)])
def test_every_event_is_in_the_model_and_is_used(event: str) -> None:
    assert re.search(rf"^{event}\(row\) ==", MODEL, re.MULTILINE)
    assert len(re.findall(rf"(?<!^)\b{event}\(", MODEL, re.MULTILINE)) > 0


def test_the_states_are_those_of_the_code() -> None:
    assert set(re.findall(r'"([A-Z]{6,})"', MODEL)) == {state.value for state in TaskState} - {"BLOCKED"}


def test_every_guard_can_be_taken_out_and_is() -> None:
    guards = tomllib.loads((SPEC / "removed.toml").read_text())["guard"]
    assert set(re.findall(r'Guarded\("([^"]+)"\)', MODEL)) == {guard["name"] for guard in guards}


def test_the_page_lists_every_guard_and_bound() -> None:
    page = (SPEC / "README.md").read_text()
    guards = tomllib.loads((SPEC / "removed.toml").read_text())["guard"]
    for name in [*(guard["name"] for guard in guards), *(file.stem for file in SPEC.glob("bounds/*.cfg"))]:
        assert f"| {name} |" in page, name


def test_crashes_are_counted_in_the_model_as_in_the_code() -> None:
    # The model allows fewer, so that it can reach the end of the budget; zero would leave the requeue out.
    allowed = [int(n) for file in SPEC.glob("bounds/*.cfg") for n in re.findall(r"MaxCrashes = (\d)", file.read_text())]
    assert 0 < max(allowed) <= CRASHES_ALLOWED
