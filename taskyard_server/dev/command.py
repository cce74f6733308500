"""`taskyard-server dev`: the options, and what the user gets to see."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

DirectoryOption = Annotated[
    Path, typer.Option("--dir", help="State directory: data, logs, cluster.json. Made when missing.")
]
SchedulersOption = Annotated[int, typer.Option(min=1, help="Scheduler processes.")]
DispatchersOption = Annotated[int, typer.Option(min=1, help="Dispatcher processes.")]
WorkersOption = Annotated[int, typer.Option(min=0, help="Demo worker processes.")]
SlotsOption = Annotated[int, typer.Option(min=1, help="Tasks that one worker runs at once.")]
LabelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--worker-label",
        metavar="NUMBER:NAME=VALUE",
        help="Label of one worker, counted from 1; may be repeated. Example: --worker-label 4:io=ssd",
    ),
]
RestPortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="REST port of the first scheduler; others take free ones. 0: any free.")
]
GrpcPortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="gRPC port of the first scheduler; others take free ones. 0: any free.")
]
SessionPortOption = Annotated[
    int, typer.Option(min=0, max=65535, help="Worker port of the first dispatcher; others take free ones. 0: any free.")
]
PostgresOption = Annotated[
    str | None, typer.Option(envvar="TASKYARD_DEV_POSTGRES_URL", help="Use this Postgres; none is started.")
]
RedisOption = Annotated[
    str | None, typer.Option(envvar="TASKYARD_DEV_REDIS_URL", help="Use this Redis or Valkey; none is started.")
]
EtcdOption = Annotated[str | None, typer.Option(help="Use this etcd, HOST:PORT[,…]; none is started.")]


def parse_worker_labels(texts: Iterable[str]) -> dict[int, dict[str, str]]:
    """Labels by worker number from words like "4:io=ssd". Raises typer.BadParameter."""
    labels: dict[int, dict[str, str]] = {}
    for text in texts:
        number, colon, label = text.partition(":")
        name, equals, value = label.partition("=")
        if not (number.isascii() and number.isdigit() and colon and name and equals) or "," in label:
            message = f"{text!r} is not NUMBER:NAME=VALUE, such as 4:io=ssd"
            raise typer.BadParameter(message, param_hint="--worker-label")
        labels.setdefault(int(number), {})[name] = value
    return labels


def dev(
    *,
    directory: DirectoryOption = Path(".taskyard"),
    schedulers: SchedulersOption = 1,
    dispatchers: DispatchersOption = 3,
    workers: WorkersOption = 2,
    slots: SlotsOption = 100,
    worker_label: LabelsOption = None,
    rest_port: RestPortOption = 8080,
    grpc_port: GrpcPortOption = 7070,
    session_port: SessionPortOption = 7071,
    postgres_url: PostgresOption = None,
    redis_url: RedisOption = None,
    etcd_endpoints: EtcdOption = None,
) -> None:
    """Run a whole cluster on this machine: stores, schedulers, dispatchers and demo workers.

    Prints one line beginning READY when it is up, and keeps DIR/cluster.json true.

    What dies is started again. Ctrl-C stops all of it, a second Ctrl-C at once; the data stays in
    DIR for the next start. DIR and the stores are closed to other users of this machine; the APIs
    on loopback are not.
    """
    # Only here: the other roles do without what starts the stores.
    try:
        from taskyard_server.dev.cluster import Cluster
        from taskyard_server.dev.lock import LockedError
        from taskyard_server.dev.occupant import OccupiedError
        from taskyard_server.dev.plan import ClusterOptions, PlanError
        from taskyard_server.dev.process import ProcessError
        from taskyard_server.dev.state import OpenDirectoryError
        from taskyard_server.dev.store import MissingProgramError
    except ModuleNotFoundError as error:
        typer.echo(f"taskyard-server dev needs taskyard-server[dev]: {error}", err=True)
        raise typer.Exit(1) from error

    options = ClusterOptions(
        directory=directory.resolve(),
        schedulers=schedulers,
        dispatchers=dispatchers,
        workers=workers,
        rest_port=rest_port,
        grpc_port=grpc_port,
        session_port=session_port,
        postgres_url=postgres_url,
        redis_url=redis_url,
        etcd_endpoints=etcd_endpoints,
        worker_labels=parse_worker_labels(worker_label or []),
        slots=slots,
    )
    try:
        asyncio.run(Cluster(options, report=typer.echo).run())
    except (
        *(LockedError, OpenDirectoryError, PlanError, ProcessError, OccupiedError, MissingProgramError),
        OSError,
    ) as error:
        typer.echo(f"taskyard-server dev: {error}", err=True)
        raise typer.Exit(1) from error
