"""The process's log: stdlib logging in the same lines as the transitions."""

import logging
import sys
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

import orjson
from opentelemetry import trace

from taskyard_core.storage.unavailable import StoreUnavailable
from taskyard_core.telemetry.clock import stamp
from taskyard_core.telemetry.identity import Identity
from taskyard_core.telemetry.settings import LogSettings

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
"""What every record has; anything else was given as `extra`."""


def configure(identity: Identity, settings: LogSettings, stream: TextIO = sys.stderr) -> None:
    """Send everything that is logged to `stream`, in place of whatever the root logger did before."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(Repeats())
    handler.setFormatter(JsonFormatter(identity) if settings.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level)


class Repeats(logging.Filter):
    """Keeps what a store says to one line: the same loop that waits for the same reason is heard once in EVERY.

    Loops try stores that are away, or refuse, several times a second, and there are many of them.
    """

    EVERY: Final = 60.0
    _MOST: Final = 500

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic = monotonic
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line should be written; it then tells how often it was not."""
        reason = _reason(record)
        if reason is None:
            return True
        key, now = (str(record.msg), reason), self._monotonic()
        told, left_out = self._told.get(key, (-self.EVERY, 0))
        if now - told < self.EVERY:
            self._told[key] = (told, left_out + 1)
            return False
        if left_out:
            record.repeated = left_out
        if len(self._told) >= self._MOST:
            self._told.clear()
        self._told[key] = (now, 0)
        return True


def _reason(record: logging.LogRecord) -> str | None:
    """What the store said that the line is about."""
    values = record.args if isinstance(record.args, tuple) else ()
    return next((str(value) for value in values if isinstance(value, StoreUnavailable)), None)


class JsonFormatter(logging.Formatter):
    """One JSON object per line: ts, level, logger, message, role, pod, process, trace_id, extras, exception."""

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self._identity = {"role": identity.role, "pod": identity.pod, "process": identity.id}

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, without the line's end."""
        fields: dict[str, Any] = {
            "ts": stamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **self._identity,
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            fields["trace_id"] = trace.format_trace_id(context.trace_id)
        # A caller's extra may not replace what every line has.
        fields = {**_extras(record), **fields}
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        return _dump(fields)


class TextFormatter(logging.Formatter):
    """`time level logger: message key=value`, with a traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line or lines."""
        extras = "".join(f" {key}={value!r}" for key, value in _extras(record).items())
        line = f"{stamp(record.created)} {record.levelname:<7} {record.name}: {record.getMessage()}{extras}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _dump(fields: dict[str, Any]) -> str:
    try:
        return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # Lone surrogates, integers beyond 64 bits: say it some way rather than not at all.
        return orjson.dumps({key: ascii(value) for key, value in fields.items()}).decode()
