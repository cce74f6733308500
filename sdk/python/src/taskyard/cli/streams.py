"""Standard input and output, whatever the command was started with."""

import contextlib
import io
import os
import sys


def prepare() -> None:
    """Make sure that no character and no closed stream can end the command."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # Or the next connection would get its number, and what is meant for people.
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    sys.argv[1:] = map(_decoded, sys.argv[1:])


def _decoded(argument: str) -> str:
    """An argument in UTF-8, though the locale (C, POSIX) knows only ASCII; others stay as they are."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return os.fsencode(argument).decode("utf-8", "surrogateescape")
    return argument


def read_input() -> bytes:
    """All of standard input; raises OSError if it is closed."""
    if sys.stdin is None:
        raise OSError("standard input is closed")
    return sys.stdin.buffer.read()


def can_ask() -> bool:
    """Whether somebody is there to answer questions."""
    return sys.stdin is not None and sys.stdin.isatty()


def let_go_of_output() -> None:
    """Nobody reads on: write the rest nowhere, also what is still held when the program ends."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
