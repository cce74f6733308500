"""Subcommands that run one role of the server, with every setting as a flag."""

import logging
import os
import signal
import threading
from typing import Annotated

import typer

from taskyard_server.configuration import AnySettings, database_of, read_settings, unknown_variables

PASS_ALL = {"allow_extra_args": True, "ignore_unknown_options": True}
"""The role's own settings parse the flags, `--help` among them."""


def scheduler(context: typer.Context) -> None:
    """Run a scheduler: the gRPC and REST API."""
    from taskyard_scheduler.process import run
    from taskyard_scheduler.settings import SchedulerSettings

    run(*_told(SchedulerSettings, context))


def dispatcher(context: typer.Context) -> None:
    """Run a dispatcher: worker sessions, claims, outcomes, and the leader's duties when elected."""
    from taskyard_dispatcher.process import run
    from taskyard_dispatcher.settings import DispatcherSettings

    run(*_told(DispatcherSettings, context))


def migrate(
    postgres_url: Annotated[
        str, typer.Option(envvar="TASKYARD_POSTGRES_URL", help="Database to bring to the newest schema.")
    ] = "",
    config: Annotated[
        str, typer.Option(envvar="TASKYARD_CONFIG", help="YAML file of a server's settings; postgres_url is read.")
    ] = "",
) -> None:
    """Create or upgrade the tables. Safe to run at any time, also by several processes at once."""
    import psycopg
    from pydantic_settings import SettingsError

    from taskyard_core.storage.postgres.migration import migrate as apply
    from taskyard_core.storage.postgres.target import Target

    try:
        remarks = unknown_variables(os.environ, config)
        postgres_url = postgres_url or database_of(config)
    except SettingsError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    for remark in remarks:
        typer.echo(remark, err=True)
    try:
        Target.parse(postgres_url)
    except ValueError as error:
        typer.echo(f"postgres_url {error}", err=True)
        raise typer.Exit(2) from error
    try:
        applied = apply(postgres_url)
    except psycopg.Error as error:
        # What the server, or nobody, said: a trace would tell nothing more.
        typer.echo(f"postgres: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo("\n".join(applied) if applied else "up to date")


def deletion_cost(
    selector: Annotated[str, typer.Option(envvar="TASKYARD_POD_SELECTOR", help="Labels of the workers' pods.")],
    scheduler: Annotated[str, typer.Option(envvar="TASKYARD_SCHEDULER_URL", help="REST API of the schedulers.")],
    namespace: Annotated[list[str] | None, typer.Option(help="Taskyard's namespaces of the workers.")] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 10.0,
) -> None:
    """Inside Kubernetes: keep each worker pod's deletion cost at the tasks it runs, so that idle ones go first."""
    from taskyard_server import deletion_cost as module

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    module.DeletionCost(
        api=module.api_address(),
        scheduler=scheduler,
        namespaces=namespace or ["default"],
        selector=selector,
        account=module.ACCOUNT,
    ).run(interval, stop)


def _told(kind: type[AnySettings], context: typer.Context) -> tuple[AnySettings, list[str]]:
    """The role's settings, and remarks on what was meant for one and is none."""
    settings = read_settings(kind, context.args, f"taskyard-server {context.info_name}")
    return settings, unknown_variables(os.environ, settings.config)
