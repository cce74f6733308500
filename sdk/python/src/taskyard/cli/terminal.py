"""What commands show: tables for people, JSON for programs."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson
import typer

from taskyard.sync import SyncClient


class OutputFormat(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


class Terminal:
    """A command's connection to the cluster and to its user.

    Attributes:
        client: the cluster.
        json: whether the output is for programs.
    """

    def __init__(self, client: SyncClient, output: OutputFormat) -> None:
        self.client = client
        self.json = output is OutputFormat.JSON

    def document(self, value: Any, *, one_line: bool = False) -> None:
        """Print a JSON document; in a stream of several, each on one line."""
        option = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE | (0 if one_line else orjson.OPT_INDENT_2)
        typer.echo(orjson.dumps(value, default=_json_value, option=option), nl=False)

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Print rows below headings, each column as wide as it needs."""
        cells = [list(headings), *(list(map(text, row)) for row in rows)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for row in cells:
            typer.echo("  ".join(map(str.ljust, row, widths)).rstrip())

    def details(self, document: Mapping[str, Any]) -> None:
        """Print those fields of a document that are set, one a line."""
        shown = {name: text(value) for name, value in document.items() if value not in (None, "", (), False)}
        width = max(map(len, shown), default=0)
        for name, line in shown.items():
            typer.echo(f"{name.ljust(width)}  {line}")

    def note(self, message: str) -> None:
        """Tell the user something that isn't part of the result."""
        typer.echo(message, err=True)


def text(value: Any) -> str:
    """One printable line for a value."""
    match value:
        case None:
            line = "-"
        case datetime():
            line = f"{value.astimezone(UTC).replace(tzinfo=None, microsecond=0)}Z"
        case timedelta():
            line = duration(value)
        case str() | int() | float():
            line = str(value)
        case _:
            line = orjson.dumps(value, default=_json_value, option=orjson.OPT_UTC_Z).decode()
    # Messages come from anywhere: no control characters to the terminal, no second line into a table.
    return "".join(letter if letter.isprintable() else " " for letter in line)


def duration(value: timedelta) -> str:
    """Seconds as the API writes them, e.g. "0.5s"."""
    return f"{value.total_seconds():.6f}".rstrip("0").rstrip(".") + "s"


def _json_value(value: Any) -> Any:
    if isinstance(value, timedelta):
        return duration(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
