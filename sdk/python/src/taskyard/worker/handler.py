"""A function registered for a task type."""

import enum
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from taskyard.worker.context import Context

MAX_TYPE_LENGTH = 128


class Mode(enum.Enum):
    """Where a handler runs."""

    LOOP = "loop"
    THREAD = "thread"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class Handler:
    """A task type's function and how to call it."""

    task_type: str
    function: Callable[..., Any]
    mode: Mode
    takes_context: bool
    non_retryable: tuple[type[BaseException], ...]

    def call(self, context: Context, payload: Any) -> Any:
        """Call the function; a coroutine comes back for mode LOOP."""
        if self.takes_context:
            return self.function(context, payload)
        return self.function(payload)


def make_handler(
    task_type: str,
    function: Callable[..., Any],
    *,
    process: bool,
    non_retryable: tuple[type[BaseException], ...],
) -> Handler:
    """Inspect a function once. Raises TypeError or ValueError naming what can't be registered."""
    if not task_type or len(task_type) > MAX_TYPE_LENGTH:
        raise ValueError(f"a task type has 1 to {MAX_TYPE_LENGTH} characters, got {task_type!r}")
    return Handler(
        task_type=task_type,
        function=function,
        mode=_mode(function, process),
        takes_context=_takes_context(function),
        non_retryable=non_retryable,
    )


def _mode(function: Callable[..., Any], process: bool) -> Mode:
    is_async = inspect.iscoroutinefunction(function)
    if not process:
        return Mode.LOOP if is_async else Mode.THREAD
    if is_async:
        raise TypeError("process=True is for sync functions")
    if "<" in function.__qualname__:
        # The spawned process finds it by its name.
        raise TypeError(f"process=True needs a function at module level, got {function!r}")
    return Mode.PROCESS


def _takes_context(function: Callable[..., Any]) -> bool:
    parameters = [
        p
        for p in inspect.signature(function).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    if len(parameters) == 2:
        return True
    if len(parameters) != 1:
        raise TypeError(f"a handler takes (payload) or (context, payload), got {function!r}")
    if _hint(function, parameters[0].name) is Context:
        raise TypeError(f"a handler with a context also takes the payload, got {function!r}")
    return False


def _hint(function: Callable[..., Any], name: str) -> object:
    try:
        return get_type_hints(function).get(name)
    except NameError:  # hints under TYPE_CHECKING can't be resolved; the count of parameters decides
        return None
