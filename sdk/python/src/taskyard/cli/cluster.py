"""`taskyard cluster …`: who is there and who leads."""

import typer

from taskyard.cli.command import command
from taskyard.cli.terminal import Terminal

group = typer.Typer(no_args_is_help=True, help="See who is there and who leads.")


@command(group, "status")
def status(terminal: Terminal) -> None:
    """Show the leader, its term and all dispatchers."""
    cluster = terminal.client.cluster()
    if terminal.json:
        terminal.document(cluster)
        return
    leader = f"{cluster.leader.id} (term {cluster.leader.term})" if cluster.leader else "none"
    typer.echo(f"version {cluster.version}, leader {leader}")
    terminal.table(
        ("DISPATCHER", "POD", "PID", "SESSIONS AT", "VERSION", "LEADER", "STARTED"),
        [
            (
                dispatcher.id,
                dispatcher.pod,
                dispatcher.pid,
                dispatcher.session_address,
                dispatcher.version,
                "yes" if dispatcher.leader else "",
                dispatcher.started_at,
            )
            for dispatcher in cluster.dispatchers
        ],
    )
