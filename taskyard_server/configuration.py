"""Reading a role's settings, and telling what about them is wrong without showing what may be a secret."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from taskyard_core.runtime.config_file import read
from taskyard_core.runtime.settings import StoreSettings
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_scheduler.settings import SchedulerSettings

AnySettings = TypeVar("AnySettings", bound=StoreSettings)

_NAMES = SchedulerSettings.model_fields.keys() | DispatcherSettings.model_fields.keys()
_PREFIX = "TASKYARD_"
VARIABLES = frozenset(f"{_PREFIX}{name.upper()}" for name in _NAMES) | {
    *("TASKYARD_LOG_LEVEL", "TASKYARD_LOG_FORMAT", "TASKYARD_LOG_TRANSITIONS"),
    *("TASKYARD_POD_SELECTOR", "TASKYARD_SCHEDULER_URL", "TASKYARD_OTLP_ENDPOINT"),
    # Of clients and workers, which often share an environment with a server.
    *("TASKYARD_ADDRESS", "TASKYARD_NAMESPACE", "TASKYARD_DISPATCHERS"),
    *("TASKYARD_TLS", "TASKYARD_TLS_CA", "TASKYARD_TLS_CERT", "TASKYARD_TLS_KEY", "TASKYARD_TLS_SERVER_NAME"),
    *("TASKYARD_WORKER_NAME", "TASKYARD_WORKER_LABELS", "TASKYARD_WORKER_SLOTS", "TASKYARD_WORKER_GRACE"),
    "TASKYARD_WORKER_HTTP_ADDRESS",
    *("TASKYARD_DEV_POSTGRES_URL", "TASKYARD_DEV_REDIS_URL"),
}
"""Variables that some program of the project reads."""

# What Kubernetes tells each container of the Services of its namespace, `taskyard-scheduler` among them.
_OF_A_SERVICE = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)$")


_FLAG = re.compile(r"-[^0-9]")


def read_settings(kind: type[AnySettings], arguments: Sequence[str], program: str) -> AnySettings:
    """The settings by flags, environment and file; ends the process with a sentence where they make no sense."""
    try:
        _check_flags(kind, arguments)
        return kind(
            _cli_parse_args=list(arguments),  # type: ignore[call-arg]
            _cli_kebab_case=True,
            _cli_prog_name=program,
        )
    except ValidationError as error:
        mistakes = [_told(details["loc"], details["msg"]) for details in error.errors(include_input=False)]
    except (SettingsError, ValueError) as error:
        mistakes = [str(error)]
    for mistake in mistakes:
        typer.echo(f"{program}: {mistake}", err=True)
    raise typer.Exit(2)


def unknown_variables(environment: Mapping[str, str], file: str = "") -> list[str]:
    """A sentence for each variable, and each key of the file, that looks like a setting and is none."""
    variables = sorted(
        name
        for name in environment
        if name.startswith(_PREFIX) and name not in VARIABLES and not _OF_A_SERVICE.search(name)
    )
    keys = sorted(read(file).keys() - _NAMES) if file else []
    return [
        *(f"{name} is no setting, and is ignored{_meant(name, VARIABLES)}" for name in variables),
        *(f"{key!r} in {file} is no setting, and is ignored{_meant(key, _NAMES)}" for key in keys),
    ]


def database_of(file: str) -> str:
    """What the file says of `postgres_url`; raises SettingsError if it says nothing, or there is no file."""
    if not file:
        raise SettingsError("postgres_url: is required, as --postgres-url, TASKYARD_POSTGRES_URL or in --config")
    found = read(file).get("postgres_url")
    if not isinstance(found, str):
        raise SettingsError(f"postgres_url: is not in {file}")
    return found


def _check_flags(kind: type[StoreSettings], arguments: Sequence[str]) -> None:
    """Raises ValueError for what is no flag; the parser of arguments would show it with its value."""
    known = {f"--{name.replace('_', '-')}" for name in kind.model_fields}
    rest = iter(arguments)
    for argument in rest:
        flag, given, _ = argument.partition("=")
        if flag in ("-h", "--help"):
            return
        if not flag.startswith("-"):
            raise ValueError("there is an argument that belongs to no flag; values that hold spaces need quotes")
        if flag not in known:
            raise ValueError(f"there is no flag {flag}{_meant(flag, known)}")
        if not given and _FLAG.match(value := next(rest, "--")):
            seems_one = value.partition("=")[0] in known or value in ("-h", "--help", "--")
            how = f"{flag}= for an empty one" if seems_one else f"{flag}=VALUE for one that begins with -"
            raise ValueError(f"{flag[2:].replace('-', '_')}: needs a value after {flag}; write {how}")


def _told(place: tuple[int | str, ...], message: str) -> str:
    said = message.removeprefix("Value error, ")
    return f"{place[0]}: {said}" if place else said


def _meant(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
    return f"; did you mean {close[0]}?" if close else ""
