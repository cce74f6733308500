"""What a worker tells on standard error where its program has not set up logging: lines for people on a terminal, JSON
for machines anywhere else."""

import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import orjson

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What every record has; anything else was given as `extra`."""


def show_log(stream: TextIO | None = None) -> None:
    """Show what `taskyard.worker` logs from INFO on, unless the program has set up logging, or does so later.

    TASKYARD_LOG_FORMAT, `json` or `text`, decides in place of the terminal.
    """
    log = logging.getLogger("taskyard.worker")
    if log.hasHandlers() or log.level != logging.NOTSET:
        return
    handler = logging.StreamHandler(stream or sys.stderr)
    wanted = os.environ.get("TASKYARD_LOG_FORMAT") or ("text" if handler.stream.isatty() else "json")
    handler.setFormatter(TextLines() if wanted == "text" else JsonLines())
    # Code may set up logging later, such as in a handler: then that has it all.
    handler.addFilter(lambda _: not logging.getLogger().handlers)
    log.addHandler(handler)
    log.setLevel(logging.INFO)


class TextLines(logging.Formatter):
    """`12:30:05 message`, and what is more than information by its level."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line, and a traceback if there is one."""
        moment = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        level = "" if record.levelno <= logging.INFO else f"{record.levelname}: "
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{moment} {level}{record.getMessage()}{trace}"


class JsonLines(logging.Formatter):
    """One object a line, with the fields that servers' logs have, too."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        extras = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        fields: dict[str, Any] = {
            **extras,
            "ts": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(fields, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
        except orjson.JSONEncodeError:
            # Lone surrogates, integers beyond 64 bits: say it some way rather than not at all.
            return orjson.dumps({name: ascii(value) for name, value in fields.items()}).decode()
