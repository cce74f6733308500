"""What the command's exit codes mean."""

from enum import IntEnum

from taskyard.errors import (
    AccessDenied,
    BacklogFull,
    DeadlineExceeded,
    FailedPrecondition,
    IdempotencyConflict,
    InvalidArgument,
    NotFound,
    ServerError,
    TaskUnsuccessful,
    TaskyardError,
    Unavailable,
)


class ExitCode(IntEnum):
    """Scripts branch on these; they never change their meaning."""

    OK = 0
    REFUSED = 1
    INVALID = 2
    NOT_FOUND = 3
    UNAVAILABLE = 4
    TIMEOUT = 5
    SERVER_ERROR = 6
    INTERRUPTED = 130
    BROKEN_PIPE = 141


MEANINGS = {
    ExitCode.OK: "done",
    ExitCode.REFUSED: "the task failed, was cancelled or expired, or its state or the server refused the operation",
    ExitCode.INVALID: "wrong usage or invalid input",
    ExitCode.NOT_FOUND: "no such task",
    ExitCode.UNAVAILABLE: "the cluster is unavailable or its backlog is full; try again later",
    ExitCode.TIMEOUT: "the time limit passed",
    ExitCode.SERVER_ERROR: "the server or this command failed in an unexpected way",
    ExitCode.INTERRUPTED: "interrupted by Ctrl-C",
    ExitCode.BROKEN_PIPE: "whoever read the output went away",
}

_OF_ERROR: dict[type[TaskyardError], ExitCode] = {
    InvalidArgument: ExitCode.INVALID,
    NotFound: ExitCode.NOT_FOUND,
    IdempotencyConflict: ExitCode.REFUSED,
    FailedPrecondition: ExitCode.REFUSED,
    AccessDenied: ExitCode.REFUSED,
    TaskUnsuccessful: ExitCode.REFUSED,
    BacklogFull: ExitCode.UNAVAILABLE,
    Unavailable: ExitCode.UNAVAILABLE,
    DeadlineExceeded: ExitCode.TIMEOUT,
    ServerError: ExitCode.SERVER_ERROR,
}


def exit_code(error: TaskyardError) -> ExitCode:
    """The code to end with after this error."""
    return next((_OF_ERROR[kind] for kind in type(error).__mro__ if kind in _OF_ERROR), ExitCode.SERVER_ERROR)
