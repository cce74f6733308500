"""Subcommands that run one role of the server, with every setting as a flag."""

from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from scheduler.settings import StoreSettings

AnySettings = TypeVar("AnySettings", bound=StoreSettings)

PASS_ALL = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The role's own settings parse the flags, `--help` among them."""


def scheduler(context: typer.Context) -> None:
    """Run a scheduler: the gRPC and REST API."""
    from scheduler.process import run
    from scheduler.settings import SchedulerSettings

    run(_settings(SchedulerSettings, context))


def dispatcher(context: typer.Context) -> None:
    """Run a dispatcher: worker sessions, claims, outcomes, and the leader's duties when elected."""
    from dispatcher.process import run
    from dispatcher.settings import DispatcherSettings

    run(_settings(DispatcherSettings, context))


def migrate(
    postgres_url: Annotated[
        str, typer.Option(envvar="TASKYARD_POSTGRES_URL", help="Database to bring to the newest schema.")
    ],
) -> None:
    """Create or upgrade the tables. Safe to run at any time, also by several processes at once."""
    from scheduler.storage.postgres.migration import migrate as apply

    applied = apply(postgres_url)
    typer.echo("\n".join(applied) if applied else "up to date")


def _settings(kind: type[AnySettings], context: typer.Context) -> AnySettings:
    try:
        return kind(
            _cli_parse_args=context.args,  # type: ignore[call-arg]
            _cli_kebab_case=True,
            _cli_prog_name=f"taskyard-server {context.info_name}",
        )
    except (ValidationError, SettingsError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
