"""Ordinary log records in the lines' format."""

import io
import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from taskyard_core.domain.transitions import Runner
from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.telemetry import logs
from taskyard_core.telemetry.clock import stamp
from taskyard_core.telemetry.facade import Telemetry
from taskyard_core.telemetry.identity import Identity
from taskyard_core.telemetry.records import Claim
from taskyard_core.telemetry.settings import LogSettings

IDENTITY = Identity("scheduler", "pod-1", "s-1")


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def logged(settings: LogSettings, record: Any) -> str:
    stream = io.StringIO()
    logs.configure(IDENTITY, settings, stream)
    record(logging.getLogger("some.place"))
    return stream.getvalue()


def test_a_record_is_one_json_object() -> None:
    text = logged(LogSettings(), lambda log: log.warning("lost %s", "etcd", extra={"store": "etcd", "level": "x"}))
    line = json.loads(text)
    assert line.pop("ts").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "some.place",
        "message": "lost etcd",
        "role": "scheduler",
        "pod": "pod-1",
        "process": "s-1",
        "store": "etcd",
    }


def test_exceptions_stay_on_the_line() -> None:
    def record(log: logging.Logger) -> None:
        try:
            raise LookupError("gone\naway")
        except LookupError:
            log.exception("failed")

    text = logged(LogSettings(), record)
    assert text.count("\n") == 1
    assert "LookupError: gone\naway" in json.loads(text)["exception"]


@pytest.mark.parametrize("odd", [{1: {2, 3}}, "\ud800", 2**70, object(), b"\xff"])
def test_whatever_is_given_as_extra_is_logged_somehow(odd: object) -> None:
    text = logged(LogSettings(), lambda log: log.info("odd", extra={"odd": odd}))
    assert "odd" in json.loads(text)


def test_the_current_span_is_named() -> None:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    with tracer.start_as_current_span("work") as span:
        text = logged(LogSettings(), lambda log: log.info("hello"))
    assert json.loads(text)["trace_id"] == f"{span.get_span_context().trace_id:032x}"


def test_level_and_text() -> None:
    settings = LogSettings(level="WARNING", format="text")
    assert logged(settings, lambda log: log.info("quiet")) == ""
    text = logged(settings, lambda log: log.warning("loud", extra={"n": 1}))
    assert text.endswith(" WARNING some.place: loud n=1\n")


def test_settings_come_from_the_environment() -> None:
    assert LogSettings.from_environment({}) == LogSettings("INFO", "json", True)
    variables = {"TASKYARD_LOG_LEVEL": "debug", "TASKYARD_LOG_FORMAT": "TEXT", "TASKYARD_LOG_TRANSITIONS": "off"}
    assert LogSettings.from_environment(variables) == LogSettings("DEBUG", "text", False)


@pytest.mark.parametrize("name", ["TASKYARD_LOG_LEVEL", "TASKYARD_LOG_FORMAT", "TASKYARD_LOG_TRANSITIONS"])
def test_nonsense_in_the_environment_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)nonsense"):
        LogSettings.from_environment({name: "nonsense"})


@pytest.mark.parametrize(("switch", "count"), [("on", 1), ("off", 0)])
def test_transitions_can_be_switched_off(switch: str, count: int) -> None:
    stream = io.StringIO()
    variables = {"TASKYARD_LOG_TRANSITIONS": switch}
    telemetry = Telemetry.for_role("dispatcher", pod="p", id="d", variables=variables, stream=stream)
    telemetry.claimed([Claim("t", 1, "a/b/c/5/", Runner("s", "w"), 0.1)])
    assert stream.getvalue().count("\n") == count


def test_transitions_are_at_level_info() -> None:
    stream = io.StringIO()
    telemetry = Telemetry.for_role("dispatcher", pod="p", id="d", log=LogSettings(level="ERROR"), stream=stream)
    telemetry.claimed([Claim("t", 1, "a/b/c/5/", Runner("s", "w"), 0.1)])
    assert stream.getvalue() == ""


def test_silent_telemetry_leaves_logging_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = logging.getLogger().handlers[:]
    Telemetry.silent().claimed([Claim("t", 1, "a/b/c/5/", Runner("s", "w"), 0.1)])
    assert logging.getLogger().handlers == before
    assert capsys.readouterr() == ("", "")
    assert sys.stderr is not None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "1970-01-01T00:00:00.000Z"), (1772366400.9996, "2026-03-01T12:00:00.999Z")],
)
def test_stamps(seconds: float, text: str) -> None:
    assert stamp(seconds) == text


def test_what_a_store_says_again_and_again_is_one_line_a_minute() -> None:
    now = 0.0
    repeats = logs.Repeats(lambda: now)

    def told(message: str, *args: object) -> bool:
        return repeats.filter(logging.LogRecord("dispatcher", logging.WARNING, "", 1, message, args, None))

    for said in ("password authentication failed", "the database system is starting up"):
        assert told("upkeep waits: %s", StoreUnavailable("postgres", said))
        assert told("dispatch waits: %s", StoreUnavailable("postgres", said))
        assert not any(told("upkeep waits: %s", StoreUnavailable("postgres", said)) for _ in range(1000))
        assert not told("upkeep waits: %s", StoreUnavailable("postgres", said))
    assert all(told("two lines alike: %s", "text") for _ in range(2))
    now = 60.0
    record = logging.LogRecord(
        "dispatcher", logging.WARNING, "", 1, "upkeep waits: %s", (StoreUnavailable("postgres", said),), None
    )
    assert repeats.filter(record)
    assert vars(record)["repeated"] == 1001
