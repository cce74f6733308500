"""How a function becomes a command: shared options, a client, errors as messages and exit codes."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from taskyard.cli.exit_code import ExitCode, exit_code
from taskyard.cli.streams import let_go_of_output
from taskyard.cli.terminal import OutputFormat, Terminal
from taskyard.errors import TaskyardError
from taskyard.sync import SyncClient

P = ParamSpec("P")

TIME_LIMIT = 5.0
"""Seconds until a call is given up: someone waits in front of the terminal."""


def _shared(
    *,
    output: Annotated[OutputFormat, typer.Option("--output", "-o", help="Output format.")] = OutputFormat.TABLE,
    address: Annotated[
        str | None,
        typer.Option(envvar="TASKYARD_ADDRESS", help="host:port of a scheduler, or several with commas."),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(envvar="TASKYARD_NAMESPACE", help="Whose tasks, queues and workers.")
    ] = None,
) -> None:
    """The options of every command; never called."""


_SHARED = inspect.signature(_shared).parameters


def command(
    group: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Terminal, P], None]], Callable[Concatenate[Terminal, P], None]]:
    """Make a function of a Terminal and options a command of `group`; its docstring is the help."""

    def register(function: Callable[Concatenate[Terminal, P], None]) -> Callable[Concatenate[Terminal, P], None]:
        def run(*, output: OutputFormat, address: str | None, namespace: str | None, **arguments: Any) -> None:
            with reported(), SyncClient(address, namespace=namespace, time_limit=TIME_LIMIT) as client:
                function(Terminal(client, output), **arguments)  # type: ignore[call-arg]

        _, *own = inspect.signature(function).parameters.values()
        parameters = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in (*own, *_SHARED.values())]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__doc__ = function.__doc__
        group.command(name)(run)
        return function

    return register


@contextmanager
def reported() -> Iterator[None]:
    """Turn what goes wrong inside into one line on stderr and an exit code."""
    try:
        yield
    except TaskyardError as error:
        raise refusal(f"{error}{_advice(error)}", exit_code(error)) from error
    except BrokenPipeError as error:
        let_go_of_output()
        raise typer.Exit(ExitCode.BROKEN_PIPE) from error
    except UnicodeEncodeError as error:
        # Bytes that aren't UTF-8 arrive in arguments and variables as surrogates, which no request can have.
        raise refusal(f"{ascii(error.object)[:100]} is not UTF-8", ExitCode.INVALID) from error
    except OSError as error:
        raise refusal(str(error), ExitCode.INVALID) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(ExitCode.INTERRUPTED) from error
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        from taskyard.worker.outcome import describe

        told = describe(error)
        raise refusal(f"{told.stack}unexpected {told.type}: {told.message}", ExitCode.SERVER_ERROR) from error


def _advice(error: TaskyardError) -> str:
    if getattr(error, "outcome_unknown", False):
        return " (it may have been carried out)"
    if retry_after := getattr(error, "retry_after", None):
        return f" (try again in {retry_after.total_seconds():g} s)"
    return ""


def refusal(message: str, code: ExitCode) -> typer.Exit:
    """Say on stderr what is wrong; answers what to raise to end with `code`."""
    typer.echo(f"error: {message}", err=True)
    return typer.Exit(code)
