"""The process's log: stdlib logging in the same lines as the transitions."""

import logging
import sys
from typing import Any, Final, TextIO

import orjson
from opentelemetry import trace

from scheduler.telemetry.clock import stamp
from scheduler.telemetry.identity import Identity
from scheduler.telemetry.settings import LogSettings

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
"""What every record has; anything else was given as `extra`."""


def configure(identity: Identity, settings: LogSettings, stream: TextIO = sys.stderr) -> None:
    """Send everything that is logged to `stream`, in place of whatever the root logger did before."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(identity) if settings.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level)


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
