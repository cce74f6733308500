"""`taskyard dlq …`: the dead letters, which are the tasks that FAILED."""

from itertools import islice
from typing import Annotated

import typer

from taskyard.cli.command import command, refusal
from taskyard.cli.exit_code import ExitCode
from taskyard.cli.number import whole
from taskyard.cli.streams import can_ask
from taskyard.cli.task import document, error_line
from taskyard.cli.terminal import Terminal
from taskyard.models import Affected, TaskFilter, TaskState

group = typer.Typer(no_args_is_help=True, help="Look after dead letters: tasks that FAILED.")

QueueName = Annotated[str, typer.Option("--queue", help="Only those of this queue.")]
TypeName = Annotated[str, typer.Option("--type", help="Only those of this type.")]
ErrorType = Annotated[str, typer.Option("--error-type", help="Only those with this error, e.g. CRASH_LOOP.")]
Limit = Annotated[int, typer.Option(parser=whole(1, 10_000), help="At most this many.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@command(group, "list")
def list_letters(
    terminal: Terminal, *, queue: QueueName = "", type: TypeName = "", error_type: ErrorType = "", limit: Limit = 50
) -> None:
    """List dead letters, newest first."""
    tasks = list(islice(terminal.client.list(_failed(queue, type, error_type), page_size=min(limit, 1000)), limit))
    if terminal.json:
        terminal.document({"tasks": list(map(document, tasks))})
        return
    terminal.table(
        ("ID", "TYPE", "QUEUE", "FAILURES", "CRASHES", "FAILED AT", "ERROR"),
        [
            (task.id, task.type, task.queue, task.failures, task.crashes, task.finished_at, error_line(task.error))
            for task in tasks
        ],
    )


@command(group, "redrive")
def redrive(
    terminal: Terminal,
    *,
    queue: QueueName = "",
    type: TypeName = "",
    error_type: ErrorType = "",
    limit: Limit = 1000,
    dry_run: DryRun = False,
) -> None:
    """Queue dead letters again with fresh budgets."""
    done = terminal.client.redrive_many(_failed(queue, type, error_type), limit=limit, dry_run=dry_run)
    _show(terminal, done, "would be redriven" if dry_run else "redriven")


@command(group, "purge")
def purge(
    terminal: Terminal,
    *,
    queue: QueueName = "",
    type: TypeName = "",
    error_type: ErrorType = "",
    limit: Limit = 1000,
    dry_run: DryRun = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
) -> None:
    """Delete dead letters for good."""
    wanted = _failed(queue, type, error_type)
    if not dry_run and not yes:
        _confirm(terminal.client.purge_many(wanted, limit=limit, dry_run=True))
    done = terminal.client.purge_many(wanted, limit=limit, dry_run=dry_run)
    _show(terminal, done, "would be purged" if dry_run else "purged")


def _failed(queue: str, type: str, error_type: str) -> TaskFilter:
    return TaskFilter(queue=queue, type=type, state=TaskState.FAILED, error_type=error_type)


def _confirm(affected: Affected) -> None:
    if not can_ask():
        raise refusal("purging needs --yes where nobody can be asked", ExitCode.INVALID)
    if not typer.confirm(f"Delete {affected.count} tasks for good?", err=True):
        raise refusal("nothing was purged", ExitCode.REFUSED)


def _show(terminal: Terminal, done: Affected, verb: str) -> None:
    if terminal.json:
        terminal.document(done)
        return
    typer.echo(f"{done.count} {verb}")
    for task_id in done.ids:
        typer.echo(task_id)
    if done.count > len(done.ids):
        typer.echo(f"… and {done.count - len(done.ids)} more")
