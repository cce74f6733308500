"""The `taskyard-server` command: one subcommand for each role."""

import typer

from taskyard_server import roles
from taskyard_server.dev.command import dev

app = typer.Typer(
    name="taskyard-server",
    help="Taskyard's server side. Settings come from flags, then TASKYARD_* variables, then a YAML file.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("scheduler", context_settings=roles.PASS_ALL, add_help_option=False)(roles.scheduler)
app.command("dispatcher", context_settings=roles.PASS_ALL, add_help_option=False)(roles.dispatcher)
app.command("migrate")(roles.migrate)
app.command("deletion-cost")(roles.deletion_cost)
app.command("dev")(dev)


@app.callback()
def _roles() -> None:
    # A callback keeps `dev` a subcommand also while it is the only one.
    pass


def main() -> None:
    """Runs the command given on the command line."""
    app()
