"""`taskyard queue …`: how full the queues are."""

import typer

from taskyard.cli.command import command
from taskyard.cli.terminal import Terminal

group = typer.Typer(no_args_is_help=True, help="See how full the queues are.")


@command(group, "list")
def list_queues(terminal: Terminal) -> None:
    """List the queues with the number of tasks in each state and the age of the oldest that could run."""
    queues = terminal.client.queues()
    if terminal.json:
        terminal.document({"queues": queues})
        return
    terminal.table(
        ("QUEUE", "SCHEDULED", "BLOCKED", "QUEUED", "RUNNING", "FAILED", "OLDEST"),
        [
            (queue.name, queue.scheduled, queue.blocked, queue.queued, queue.running, queue.failed, queue.oldest_age)
            for queue in queues
        ],
    )
