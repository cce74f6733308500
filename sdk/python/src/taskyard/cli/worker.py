"""`taskyard worker …`: see the connected workers, run one."""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, cast

import typer

from taskyard.cli.command import command, refusal, reported
from taskyard.cli.exit_code import ExitCode
from taskyard.cli.terminal import Terminal
from taskyard.errors import FieldViolation, InvalidArgument

group = typer.Typer(no_args_is_help=True, help="See the connected workers; run one.")


@command(group, "list")
def list_workers(terminal: Terminal) -> None:
    """List the connected workers."""
    workers = terminal.client.workers()
    if terminal.json:
        terminal.document({"workers": workers})
        return
    terminal.table(
        ("WORKER", "POD", "PID", "RUNNING", "SLOTS", "LABELS", "QUEUES", "DISPATCHER", "SDK", "DRAINING"),
        [
            (
                worker.name,
                worker.pod,
                worker.pid,
                worker.running,
                worker.slots,
                ",".join(f"{key}={value}" for key, value in sorted(worker.labels.items())),
                ",".join(worker.queues) or "all",
                worker.dispatcher,
                worker.sdk,
                "yes" if worker.draining else "",
            )
            for worker in workers
        ],
    )


@group.command("run")
def run(
    target: Annotated[str, typer.Argument(metavar="MODULE:ATTRIBUTE", help="Where the Worker object is.")],
    dispatchers: Annotated[
        str | None,
        typer.Option(envvar="TASKYARD_DISPATCHERS", help="host:port of dispatchers, separated by commas."),
    ] = None,
    name: Annotated[str | None, typer.Option(envvar="TASKYARD_WORKER_NAME", help="Shown to people.")] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label; may be repeated.")] = None,
    slots: Annotated[
        int | None, typer.Option(envvar="TASKYARD_WORKER_SLOTS", min=1, help="Tasks to run at once.")
    ] = None,
) -> None:
    """Run a worker until it is told to stop. Modules are also looked for in the current directory."""
    with reported():
        options = {
            "TASKYARD_DISPATCHERS": dispatchers,
            "TASKYARD_WORKER_NAME": name,
            "TASKYARD_WORKER_LABELS": ",".join(map(_label, label)) if label else None,
            "TASKYARD_WORKER_SLOTS": None if slots is None else str(slots),
        }
        os.environ.update({variable: value for variable, value in options.items() if value is not None})
        sys.path.insert(0, str(Path.cwd()))
        start = _load(target)
        _run(start)


def _run(start: Callable[[], object]) -> None:
    from taskyard.worker import HelloRefused

    try:
        start()
    except HelloRefused as error:
        raise refusal(str(error), ExitCode.REFUSED) from error
    except ValueError as error:
        # Handlers' errors are their tasks' outcomes: what arrives here is about the worker's settings.
        raise refusal(str(error), ExitCode.INVALID) from error


def _label(pair: str) -> str:
    key, equals, _ = pair.partition("=")
    if not key or not equals or "," in pair:
        raise _invalid("label", f"{pair!r} is not KEY=VALUE without commas")
    return pair


def _load(target: str) -> Callable[[], object]:
    module_name, colon, attribute = target.partition(":")
    if not module_name or not colon or not attribute:
        raise _invalid("target", f"{target!r} is not MODULE:ATTRIBUTE")
    try:
        found: object = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # What the module itself fails to import is its author's to see, with the traceback.
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise _invalid("target", f"there is no module {error.name!r}") from error
        raise
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise _invalid("target", f"{module_name!r} has no {attribute!r}")
        found = getattr(found, part)
    start = getattr(found, "run", None)
    if isinstance(found, type) or not callable(start):
        raise _invalid("target", f"{target!r} is not a Worker but {found!r}")
    return cast("Callable[[], object]", start)


def _invalid(field: str, description: str) -> InvalidArgument:
    return InvalidArgument(violations=[FieldViolation(field, description)])
