"""The worker's log, which nothing that an application hangs into logging can turn against the worker."""

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class Journal(_Adapter):
    """The logger `taskyard.worker`, whose calls never raise.

    An application's filters and handlers run inside them. One that raised would otherwise take an attempt's result
    with it, or the thread that holds the session.
    """

    def __init__(self) -> None:
        super().__init__(logging.getLogger("taskyard.worker"), {})
        self._complained = False

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Leave each call its own `extra`."""
        return msg, kwargs

    def log(self, level: int, msg: object, *args: object, **kwargs: Any) -> None:
        """Log, whatever comes of it."""
        try:
            # The caller is one frame further up than the base class thinks.
            super().log(level, msg, *args, **kwargs, stacklevel=2)
        except BaseException as error:
            self._complain(error)

    def _complain(self, error: BaseException) -> None:
        """Say so once, where nothing can be filtered."""
        if self._complained:
            return
        self._complained = True
        with contextlib.suppress(BaseException):
            sys.stderr.write(f"taskyard: the application's logging raised {type(error).__name__}; records are lost\n")


logger = Journal()
