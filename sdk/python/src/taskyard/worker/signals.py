"""Signals: once to stop gracefully, twice to stop at once; and what processes forked from a worker inherit of it."""

import os
import signal
import threading
from asyncio import unix_events
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_DEFAULTS = {signal.SIGINT: signal.default_int_handler}

Handler = Callable[[int, FrameType | None], Any]

_before: dict[signal.Signals, Any] = {}
"""What handled the signals that this process has taken over."""
_serving: list[None] = []
"""One for each worker at work in this process."""


def take_over(number: signal.Signals, handler: Handler) -> None:
    """Handle a signal in this process, but not in those forked from it."""
    previous = signal.signal(number, handler)
    _before.setdefault(number, signal.SIG_DFL if previous is None else previous)


def _give_back() -> None:
    while _before:
        signal.signal(*_before.popitem())


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` on the first signal and end the process on the second. Does nothing outside the main thread.

    Plain signal handlers rather than the event loop's: they also run while a handler blocks the loop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        # A terminal that is closed may say so twice: its kernel and its shell.
        if asked and number != signal.SIGHUP:
            os._exit(128 + number)
        asked = True
        stop()

    for number in _SIGNALS:
        # Under nohup, hanging up is to be ignored.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            take_over(number, on_signal)
    try:
        yield
    finally:
        _give_back()


@contextmanager
def serving() -> Iterator[None]:
    """Meanwhile the process is a worker, and what is forked from it is not."""
    _serving.append(None)
    try:
        yield
    finally:
        _serving.pop()


def _before_fork() -> None:
    # A signal that met the child with the worker's handler still in place would be lost to it.
    _fork.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


def _in_parent() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _fork.mask)


def _in_child() -> None:
    """Let the child be terminated, and what ends it not reach the worker's event loop."""
    if _serving:
        for number in _SIGNALS:
            # Of a program that serves a worker on an event loop of its own.
            if signal.getsignal(number) is getattr(unix_events, "_sighandler_noop", _DEFAULTS):
                _before.setdefault(number, _DEFAULTS.get(number, signal.SIG_DFL))
    if _before:
        signal.set_wakeup_fd(-1)
        _give_back()
    _serving.clear()
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, _fork.mask)
    except KeyboardInterrupt:
        # It waited for this, but from here it would go nowhere.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(signal.SIGINT)


_fork = threading.local()
os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
