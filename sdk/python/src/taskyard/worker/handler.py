"""A function registered for a task type."""

import enum
import functools
import inspect
import pickle
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from typing import Annotated, Any, Union, get_args, get_origin

from taskyard.definition import TaskDefinition
from taskyard.worker.context import Context

MAX_TYPE_LENGTH = 128

_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


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
    definition: TaskDefinition[Any, Any] | None = None
    """What its payload and its result have to be; None: any JSON value."""

    def call(self, context: Context, payload: Any) -> Any:
        """Call the function; a coroutine comes back for mode LOOP."""
        if self.takes_context:
            return self.function(context, payload)
        return self.function(payload)

    def check_sendable(self) -> None:
        """Raise ValueError if its function can't be brought to a process of its own.

        Only known once its module is loaded: while it is being decorated its name means nothing yet.
        """
        if self.mode is Mode.PROCESS:
            try:
                ForkingPickler.dumps((self.function, self.non_retryable, self.definition))
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                raise ValueError(f"{self.task_type}: process=True can't send the handler: {error}") from error


def make_handler(
    task_type: str,
    function: Callable[..., Any],
    *,
    process: bool,
    non_retryable: type[BaseException] | tuple[type[BaseException], ...],
    definition: TaskDefinition[Any, Any] | None = None,
) -> Handler:
    """Inspect a function once. Raises TypeError or ValueError naming what can't be registered."""
    check_type(task_type)
    if isinstance(function, staticmethod):
        function = function.__func__
    if not callable(function):
        raise TypeError(f"{task_type}: a handler is a function, got {function!r}")
    return Handler(
        task_type=task_type,
        function=function,
        mode=_mode(task_type, function, process),
        takes_context=_takes_context(task_type, function),
        non_retryable=_exceptions(task_type, non_retryable),
        definition=definition,
    )


def check_type(task_type: object) -> None:
    """Raise TypeError or ValueError for what is no task type."""
    if not isinstance(task_type, str):
        raise TypeError(f'a handler is registered as @worker.task("its.type"), got {task_type!r} for the type')
    if len(task_type) > MAX_TYPE_LENGTH or not _TYPE.fullmatch(task_type):
        raise ValueError(
            f"a task type has 1 to {MAX_TYPE_LENGTH} letters, digits, '.', '_' and '-' and begins with a letter or "
            f"digit, got {task_type!r}"
        )


def _exceptions(task_type: str, kinds: object) -> tuple[type[BaseException], ...]:
    found = tuple(kinds) if isinstance(kinds, tuple | list | set | frozenset) else (kinds,)
    if not all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in found):
        raise TypeError(f"{task_type}: non_retryable has classes of exceptions, got {kinds!r}")
    return found


def _mode(task_type: str, function: Callable[..., Any], process: bool) -> Mode:
    innermost: Any = function
    while isinstance(innermost, functools.partial):
        innermost = innermost.func
    if not inspect.isroutine(innermost) and not isinstance(innermost, type):
        innermost = innermost.__call__
    if inspect.isgeneratorfunction(innermost) or inspect.isasyncgenfunction(innermost):
        raise TypeError(f"{task_type}: a handler returns its result, but {function!r} yields")
    is_async = inspect.iscoroutinefunction(innermost)
    if not process:
        return Mode.LOOP if is_async else Mode.THREAD
    if is_async:
        raise TypeError(f"{task_type}: process=True is for sync functions, got {function!r}")
    if "<" in getattr(innermost, "__qualname__", ""):
        # The spawned process finds it by its name.
        raise TypeError(f"{task_type}: process=True needs a function at module level, got {function!r}")
    return Mode.PROCESS


def _takes_context(task_type: str, function: Callable[..., Any]) -> bool:
    """Whether a handler is called with (context, payload) rather than (payload)."""
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError) as error:
        raise TypeError(f"{task_type}: can't see what {function!r} takes; wrap it in a function") from error
    named = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    required = [parameter for parameter in named if parameter.default is parameter.empty]
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if keywords:
        raise TypeError(f"{task_type}: a handler is called without keywords, but {function!r} needs {keywords[0]!r}")
    if required and required[0].name in ("self", "cls"):
        raise TypeError(f"{task_type}: {function!r} is a method without its object; register the bound method")
    if len(required) > 2 or not named:
        raise TypeError(f"{task_type}: a handler takes (payload) or (context, payload), got {function!r}")
    if not _is_context(named[0].annotation, function):
        return len(required) == 2
    if len(named) < 2:
        raise TypeError(f"{task_type}: a handler with a context also takes the payload, got {function!r}")
    return True


def _is_context(hint: object, function: Callable[..., Any]) -> bool:
    """Whether a parameter's hint is the context's; one that can't be resolved is not, and their number decides."""
    try:
        if isinstance(hint, str):
            # As typing itself does: it is the module's own source.
            hint = eval(hint, getattr(inspect.unwrap(function), "__globals__", {}))  # noqa: S307
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        if get_origin(hint) in (Union, types.UnionType):
            return Context in get_args(hint)
    except Exception:
        return False
    return hint is Context
