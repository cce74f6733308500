"""Failpoints: their text is read strictly, they do what it says, and nothing without it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from taskyard_core.runtime import failpoints
from taskyard_core.runtime.failpoints import Failpoints, Rule, parse
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_dispatcher.duties.audit import Audit
from taskyard_dispatcher.duties.outbox import OutboxDuty
from taskyard_dispatcher.duties.passage import Expiry, Promotion
from taskyard_dispatcher.duties.reaping import Reaping
from taskyard_dispatcher.duties.rebuild import Rebuild
from taskyard_dispatcher.duties.retention import Retention
from taskyard_scheduler.settings import SchedulerSettings

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def off() -> Iterator[None]:
    yield
    failpoints.install(None)


def test_a_text_becomes_rules() -> None:
    assert parse("claimed=crash:0.01; duty-outbox=stop#1;lane-taken=sleep(0.5):0.1#20; outcome-committed=error;") == [
        Rule("claimed", "crash", probability=0.01),
        Rule("duty-outbox", "stop", times=1),
        Rule("lane-taken", "sleep", seconds=0.5, probability=0.1, times=20),
        Rule("outcome-committed", "error"),
    ]
    assert parse("") == parse(" ; ") == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("claimd=crash", "no failpoint is called 'claimd'.* claimed"),
        ("claimed=crush", "no action is called 'crush'.* crash"),
        ("claimed", "is not <place>="),
        ("claimed=crash:0.1x", "is not <place>="),
        ("claimed=crash,lane-taken=stop", "is not <place>="),
        ("claimed=crash:0", "a probability is above 0"),
        ("claimed=crash:1.5", "a probability is above 0"),
        ("claimed=crash:0.1.2", "'0.1.2' is not a number"),
        ("claimed=crash#0", "at least 1"),
        ("claimed=sleep", "needs a time"),
        ("claimed=crash(3)", "take none"),
        ("claimed=error; nowhere=error", "'nowhere'"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(text)


def test_a_server_does_not_start_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TASKYARD_FAILPOINTS", "claimd=crash")
    with pytest.raises(ValidationError, match="no failpoint is called 'claimd'"):
        SchedulerSettings(_cli_parse_args=[])  # type: ignore[call-arg]


def test_the_places_of_duties_are_duties() -> None:
    duties = (OutboxDuty, Promotion, Expiry, Reaping, Rebuild, Audit, Retention)
    assert tuple(duty.name for duty in duties) == failpoints.DUTIES


def test_every_place_is_reached_by_the_code_and_documented() -> None:
    code = "\n".join(
        path.read_text()
        for role in ("taskyard_core", "scheduler", "dispatcher")
        for path in ROOT.glob(f"{role}/**/*.py")
    )
    text = (ROOT / "docs/configuration.md").read_text()
    for place, meaning in failpoints.PLACES.items():
        assert place in text
        if not place.startswith("duty-"):
            assert f'failpoints.reach("{place}")' in code
            assert f"| {place} | {meaning} |" in text
    assert all(f"| {action}" in text for action in failpoints.ACTIONS)


async def test_nothing_happens_while_they_are_off() -> None:
    failpoints.arm("claimed=error")
    failpoints.arm("")
    # Nothing is raised any more.
    await failpoints.reach("claimed")


async def test_only_the_named_place_fails_and_the_start_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    failpoints.arm("claimed=error")
    assert "fail on purpose" in caplog.text
    await failpoints.reach("lane-taken")
    with pytest.raises(StoreUnavailable):
        await failpoints.reach("claimed")


async def test_a_rule_applies_so_many_times() -> None:
    hook = Failpoints(parse("claimed=error#2"))
    assert await failures(hook, "claimed", 5) == [True, True, False, False, False]


async def test_a_rule_applies_with_its_probability() -> None:
    draws = iter([0.24, 0.25, 0.9, 0.0])
    hook = Failpoints(parse("claimed=error:0.25"), lambda: next(draws))
    assert await failures(hook, "claimed", 4) == [True, False, False, True]


async def test_a_hook_hears_of_every_place() -> None:
    heard: list[str] = []

    async def hear(place: str) -> None:
        heard.append(place)

    failpoints.install(hear)
    await failpoints.reach("claimed")
    await failpoints.reach("submit-committed")
    assert heard == ["claimed", "submit-committed"]


async def failures(hook: Failpoints, place: str, times: int) -> list[bool]:
    return [await fails(hook, place) for _ in range(times)]


async def fails(hook: Failpoints, place: str) -> bool:
    try:
        await hook(place)
    except StoreUnavailable:
        return True
    return False
