"""`taskyard task …`: submit tasks and look after single ones."""

from dataclasses import asdict
from itertools import islice
from typing import Annotated, Any

import orjson
import typer

from taskyard import _json
from taskyard.cli.command import command
from taskyard.cli.exit_code import ExitCode
from taskyard.cli.moment import parse_duration, parse_time
from taskyard.cli.number import number, whole
from taskyard.cli.payload import read_payload
from taskyard.cli.terminal import Terminal, text
from taskyard.errors import TaskUnsuccessful
from taskyard.models import RetryPolicy, Task, TaskError, TaskFilter, TaskState

group = typer.Typer(no_args_is_help=True, help="Submit tasks and look after them.")

Id = Annotated[str, typer.Argument(help="The task's id.")]
Duration = Annotated[str | None, typer.Option(metavar="DURATION")]


@command(group, "submit")
def submit(
    terminal: Terminal,
    type: Annotated[str, typer.Argument(help="Names the handler, e.g. email.send.")],
    payload: Annotated[
        str | None, typer.Argument(help="JSON; @FILE reads a file, - standard input. Default: null.")
    ] = None,
    *,
    queue: Annotated[str, typer.Option(help="Default: default.")] = "",
    priority: Annotated[
        int | None, typer.Option(parser=whole(), help="0 (lowest) to 10 (highest). Default: 5.")
    ] = None,
    selector: Annotated[
        str, typer.Option(help="Which workers may run it, e.g. 'io=ssd,region in (eu,us),memory_gb>=16'.")
    ] = "",
    idempotency_key: Annotated[
        str | None,
        typer.Option("--key", "--idempotency-key", help="The same key and task again answer with the first task."),
    ] = None,
    delay: Annotated[str | None, typer.Option(metavar="DURATION", help="Start no earlier than this from now.")] = None,
    run_at: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start no earlier, e.g. 2030-01-31T08:00Z.")
    ] = None,
    expires_at: Annotated[str | None, typer.Option(metavar="TIME", help="Expire it if it hasn't started.")] = None,
    timeout: Annotated[str | None, typer.Option(metavar="DURATION", help="How long one attempt may run.")] = None,
    max_attempts: Annotated[int | None, typer.Option(parser=whole(), help="Attempts that may fail.")] = None,
    initial_backoff: Duration = None,
    multiplier: Annotated[
        float | None, typer.Option(parser=number(), help="Each backoff is this many times the last one.")
    ] = None,
    max_backoff: Duration = None,
    jitter: Annotated[
        float | None, typer.Option(parser=number(), help="Share of the backoff drawn at random, 0 to 1.")
    ] = None,
    depends_on: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="A task that must succeed first; may be repeated.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is over and print its result.")] = False,
    wait_timeout: Annotated[str | None, typer.Option(metavar="DURATION", help="Wait no longer than this.")] = None,
) -> None:
    """Submit a task and print its id; with --wait, print its result as JSON."""
    longest = parse_duration("wait_timeout", wait_timeout)
    handle = terminal.client.submit(
        type,
        read_payload(payload),
        queue=queue,
        priority=priority,
        selector=selector,
        idempotency_key=idempotency_key,
        delay=parse_duration("delay", delay),
        run_at=parse_time("run_at", run_at),
        expires_at=parse_time("expires_at", expires_at),
        timeout=parse_duration("timeout", timeout),
        retry=_retry(max_attempts, initial_backoff, multiplier, max_backoff, jitter),
        depends_on=depends_on or (),
    )
    if wait:
        _show_end(terminal, terminal.client.wait(handle.id, longest))
    elif terminal.json:
        terminal.document(document(handle.get()) | {"deduplicated": handle.deduplicated})
    else:
        typer.echo(handle.id)
        if handle.deduplicated:
            terminal.note("deduplicated: this task was submitted earlier with the same key")


def _retry(
    max_attempts: int | None,
    initial_backoff: str | None,
    multiplier: float | None,
    max_backoff: str | None,
    jitter: float | None,
) -> RetryPolicy | None:
    policy = RetryPolicy(
        max_attempts,
        parse_duration("retry.initial_backoff", initial_backoff),
        multiplier,
        parse_duration("retry.max_backoff", max_backoff),
        jitter,
    )
    return None if policy == RetryPolicy() else policy


@command(group, "get")
def get(terminal: Terminal, id: Id) -> None:
    """Show a task."""
    _show(terminal, terminal.client.get(id))


@command(group, "list")
def list_tasks(
    terminal: Terminal,
    *,
    queue: Annotated[str, typer.Option()] = "",
    type: Annotated[str, typer.Option()] = "",
    state: Annotated[TaskState | None, typer.Option(case_sensitive=False)] = None,
    error_type: Annotated[str, typer.Option(help="The type of the task's error.")] = "",
    limit: Annotated[int, typer.Option(parser=whole(1), help="Show at most this many.")] = 50,
) -> None:
    """List tasks, newest first."""
    wanted = TaskFilter(queue=queue, type=type, state=state, error_type=error_type)
    tasks = list(islice(terminal.client.list(wanted, page_size=min(limit, 1000)), limit))
    if terminal.json:
        terminal.document({"tasks": list(map(document, tasks))})
        return
    terminal.table(
        ("ID", "TYPE", "QUEUE", "STATE", "ATTEMPT", "CREATED", "WORKER"),
        [(task.id, task.type, task.queue, task.state, task.attempt, task.created_at, task.worker) for task in tasks],
    )


@command(group, "wait")
def wait(
    terminal: Terminal,
    ids: Annotated[list[str], typer.Argument(help="Ids of tasks.")],
    timeout: Annotated[str | None, typer.Option(metavar="DURATION", help="Wait no longer than this for each.")] = None,
) -> None:
    """Wait until tasks are over and print their results, one JSON value a line (with -o json, the whole tasks)."""
    longest = parse_duration("timeout", timeout)
    for task_id in ids:
        # Waiting outlasts any outage; asking first tells at once if there is nobody to wait for.
        terminal.client.get(task_id)
    ended = [_ended_well(terminal, terminal.client.wait(task_id, longest)) for task_id in ids]
    if not all(ended):
        raise typer.Exit(ExitCode.REFUSED)


@command(group, "cancel")
def cancel(terminal: Terminal, id: Id) -> None:
    """Cancel a task; one that runs is asked to stop."""
    _show(terminal, terminal.client.cancel(id))


@command(group, "redrive")
def redrive(terminal: Terminal, id: Id) -> None:
    """Queue a FAILED task again with fresh budgets."""
    _show(terminal, terminal.client.redrive(id))


@command(group, "attempts")
def attempts(terminal: Terminal, id: Id) -> None:
    """List a task's runs, oldest first."""
    runs = terminal.client.attempts(id)
    if terminal.json:
        terminal.document({"attempts": runs})
        return
    terminal.table(
        ("ATTEMPT", "OUTCOME", "WORKER", "POD", "STARTED", "FINISHED", "ERROR"),
        [
            (run.attempt, run.outcome, run.worker, run.pod, run.started_at, run.finished_at, error_line(run.error))
            for run in runs
        ],
    )


def document(task: Task) -> dict[str, Any]:
    """The task's fields; payload and result as JSON that keeps every digit."""
    values = {name: orjson.Fragment(_json.encode(getattr(task, name), name)) for name in ("payload", "result")}
    return asdict(task) | values


def error_line(error: TaskError | None) -> str:
    """An error's type and message, or nothing."""
    return f"{error.type}: {error.message}" if error else ""


def _show(terminal: Terminal, task: Task) -> None:
    if terminal.json:
        terminal.document(document(task))
    else:
        terminal.details(document(task) | {name: None for name in ("payload", "result") if getattr(task, name) is None})


def _show_end(terminal: Terminal, task: Task) -> None:
    if not _ended_well(terminal, task):
        raise typer.Exit(ExitCode.REFUSED)


def _ended_well(terminal: Terminal, task: Task) -> bool:
    if terminal.json:
        terminal.document(document(task), one_line=True)
    elif task.state is TaskState.SUCCEEDED:
        typer.echo(_json.encode(task.result))
    if task.state is not TaskState.SUCCEEDED:
        terminal.note(f"error: {text(str(TaskUnsuccessful(task)))}")
    return task.state is TaskState.SUCCEEDED
