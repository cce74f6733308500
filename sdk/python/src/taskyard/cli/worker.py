"""`taskyard worker …`: see the connected workers, run one."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taskyard.cli.command import command, refusal, reported
from taskyard.cli.exit_code import ExitCode
from taskyard.cli.number import number, whole
from taskyard.cli.terminal import Terminal
from taskyard.errors import FieldViolation, InvalidArgument

if TYPE_CHECKING:
    from taskyard.worker import Worker

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
    *,
    dispatchers: Annotated[
        str | None,
        typer.Option(help="host:port of dispatchers, separated by commas."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Shown to people.")] = None,
    label: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label; may be repeated.")] = None,
    slots: Annotated[int | None, typer.Option(parser=whole(1), help="Tasks to run at once.")] = None,
    grace: Annotated[
        float | None, typer.Option(parser=number(0), help="Seconds that running tasks get to finish after SIGTERM.")
    ] = None,
) -> None:
    """Run a worker until it is told to stop. Modules are also looked for in the current directory.

    Flags win over what the code says, and that over TASKYARD_DISPATCHERS and TASKYARD_WORKER_NAME, _LABELS, _SLOTS and
    _GRACE.
    """
    with reported():
        labels = dict(map(_label, label or []))
        # First: modules of that directory may have the names of those that the SDK itself uses.
        importlib.import_module("taskyard.worker")
        sys.path.insert(0, str(Path.cwd()))
        worker = _load(target)
        worker.override(dispatchers=dispatchers, name=name, labels=labels, slots=slots, grace=grace)
        _run(worker)


def _run(worker: "Worker") -> None:
    from taskyard.cli.traces import traced
    from taskyard.worker import HelloRefused

    try:
        # Once its code is loaded: a set-up of its own is left alone.
        with traced():
            worker.run()
    except HelloRefused as error:
        raise refusal(str(error), ExitCode.REFUSED) from error
    except ValueError as error:
        # Handlers' errors are their tasks' outcomes: what arrives here is about the worker's settings.
        raise refusal(str(error), ExitCode.INVALID) from error


def _label(pair: str) -> tuple[str, str]:
    key, equals, value = pair.partition("=")
    if not key or not equals:
        raise _invalid("label", f"{pair!r} is not KEY=VALUE")
    return key, value


def _load(target: str) -> "Worker":
    from taskyard.worker import Worker

    module_name, colon, attribute = target.partition(":")
    if not module_name or not colon or not attribute:
        raise _invalid("target", f"{target!r} is not MODULE:ATTRIBUTE")
    found = _find(module_name, attribute)
    if not isinstance(found, Worker):
        raise _invalid("target", f"{target!r} is not a Worker but {found!r}")
    return found


def _find(module_name: str, attribute: str) -> object:
    try:
        found: object = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise _invalid("target", f"there is no module {error.name!r}") from error
        raise _broken(module_name, error) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise _invalid("target", f"{module_name!r} has no {attribute!r}")
        found = getattr(found, part)
    return found


def _broken(module_name: str, error: BaseException) -> InvalidArgument:
    """Show where a module's own code failed: it may have raised anything, and its author has to find it."""
    trace = error.__traceback__
    while trace is not None and _is_machinery(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next
    from taskyard.worker.outcome import describe

    told = describe(error.with_traceback(trace))
    typer.echo(told.stack, err=True, nl=False)
    return _invalid("target", f"importing {module_name!r} ended with {told.type}: {told.message}")


def _is_machinery(path: str) -> bool:
    return path in (__file__, importlib.__file__) or path.startswith("<frozen importlib")


def _invalid(field: str, description: str) -> InvalidArgument:
    return InvalidArgument(violations=[FieldViolation(field, description)])
