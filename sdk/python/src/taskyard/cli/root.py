"""All commands put together."""

from importlib.metadata import version
from typing import Annotated

import typer

from taskyard.cli import cluster, dlq, queue, task, worker
from taskyard.cli.exit_code import MEANINGS

_EXIT_CODES = "Exit codes:\n\n" + "\n\n".join(f"{code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())

app = typer.Typer(
    name="taskyard",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Submit tasks to a Taskyard cluster and look after it.",
    epilog=_EXIT_CODES,
)
app.add_typer(task.group, name="task")
app.add_typer(queue.group, name="queue")
app.add_typer(worker.group, name="worker")
app.add_typer(cluster.group, name="cluster")
app.add_typer(dlq.group, name="dlq")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"taskyard {version('taskyard')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Submit tasks to a Taskyard cluster and look after it."""
