"""A payload from the command line, a file or standard input."""

from pathlib import Path

import orjson

from taskyard import _json
from taskyard.cli.streams import read_input
from taskyard.errors import FieldViolation, InvalidArgument


def read_payload(source: str | None) -> orjson.Fragment | None:
    """The JSON document that the argument means: itself, `@file`, or `-` for standard input. None stays None.

    It is checked but kept as it was written, so that no number changes. Raises InvalidArgument, or OSError for a file
    that can't be read.
    """
    if source is None:
        return None
    document = _read(source)
    try:
        _json.loads(document)
    except ValueError as error:
        raise InvalidArgument(violations=[FieldViolation("payload", f"is not UTF-8 JSON: {error}")]) from error
    return orjson.Fragment(document)


def _read(source: str) -> bytes:
    if source == "-":
        return read_input()
    if source.startswith("@"):
        return Path(source[1:]).read_bytes()
    # Bytes that aren't UTF-8 arrive in arguments as surrogates; they must be seen as what they were.
    return source.encode("utf-8", "surrogateescape")
