"""Client commands, each a task on one event loop."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from conformance.testee.made import made
from conformance.testee.notation import Unsupported, duration, error, moment, plain
from taskyard import Client, RetryPolicy, TaskFilter, TaskHandle, TaskRequest, TaskState, Tls

_clients: dict[str, Client] = {}
under_way: dict[int, asyncio.Task[None]] = {}

Fields = dict[str, Any]


def _client(command: Fields) -> Client:
    return _clients[command.get("client", "c")]


async def _open(command: Fields) -> Fields:
    if more := command.keys() - {"client", "address", "namespace", "time_limit", "generate_keys", "tls"}:
        raise Unsupported(f"a client has no {', '.join(sorted(more))}")
    settings: Fields = {name: command[name] for name in ("address", "namespace", "generate_keys") if name in command}
    if "time_limit" in command:
        settings["time_limit"] = duration(command["time_limit"])
    if "tls" in command:
        settings["tls"] = _tls(**command["tls"])
    _clients[command.get("client", "c")] = Client(**settings)
    return {}


def _tls(ca: str | None = None, cert: str | None = None, key: str | None = None, server_name: str = "") -> Tls:
    of_ca, of_cert, of_key = (None if name is None else Path(name) for name in (ca, cert, key))
    return Tls(of_ca, of_cert, of_key, server_name)


async def _close(command: Fields) -> Fields:
    await _clients.pop(command.get("client", "c")).close()
    return {}


def _request(fields: Fields) -> tuple[TaskRequest, str]:
    """A task to submit, and the trace that it belongs to."""
    fields = {key: value for key, value in fields.items() if key != "client"}
    payload = made(**fields.pop("make")) if "make" in fields else fields.pop("payload", None)
    traceparent = fields.pop("traceparent", "")
    for name in ("delay", "timeout"):
        if name in fields:
            fields[name] = duration(fields[name])
    for name in ("run_at", "expires_at"):
        if name in fields:
            fields[name] = moment(fields[name])
    if "retry" in fields:
        spans = ("initial_backoff", "max_backoff")
        retry: Fields = {key: duration(value) if key in spans else value for key, value in fields["retry"].items()}
        fields["retry"] = RetryPolicy(**retry)
    return TaskRequest(fields.pop("type"), payload, **fields), traceparent


def _within(traceparent: str) -> Any:
    """The submitter's span, which the SDK takes the trace context from."""
    if not traceparent:
        return nullcontext()
    from opentelemetry import trace
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    parent = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    return trace.use_span(trace.get_current_span(parent))


async def _submit(command: Fields) -> Fields:
    request, traceparent = _request(command)
    options = {name: getattr(request, name) for name in _OPTIONS}
    with _within(traceparent):
        handle = await _client(command).submit(request.type, request.payload, **options)
    return _accepted(handle)


_OPTIONS = (
    "queue", "priority", "selector", "idempotency_key", "delay", "run_at", "expires_at", "timeout", "retry",
    "depends_on",
)  # fmt: skip


def _accepted(handle: TaskHandle) -> Fields:
    return {"task": handle.id, "deduplicated": handle.deduplicated}


async def _submit_many(command: Fields) -> Fields:
    requests = [_request(fields)[0] for fields in command["tasks"]]
    outcomes = await _client(command).submit_many(requests)
    return {
        "results": [
            _accepted(outcome) if isinstance(outcome, TaskHandle) else {"error": error(outcome)} for outcome in outcomes
        ]
    }


def _timeout(command: Fields) -> Any:
    return duration(command["timeout"]) if "timeout" in command else None


async def _get(command: Fields) -> Fields:
    return plain(await _client(command).get(command["task"]))  # type: ignore[no-any-return]


async def _cancel(command: Fields) -> Fields:
    return plain(await _client(command).cancel(command["task"]))  # type: ignore[no-any-return]


async def _redrive(command: Fields) -> Fields:
    return plain(await _client(command).redrive(command["task"]))  # type: ignore[no-any-return]


async def _wait(command: Fields) -> Fields:
    return plain(await _client(command).wait(command["task"], _timeout(command)))  # type: ignore[no-any-return]


async def _result(command: Fields) -> Fields:
    return {"value": await _client(command).result(command["task"], _timeout(command))}


def _filter(command: Fields) -> TaskFilter:
    fields = dict(command.get("filter", {}))
    if "state" in fields:
        fields["state"] = TaskState(fields["state"])
    return TaskFilter(**fields)


async def _list(command: Fields) -> Fields:
    sizes = {"page_size": command["page_size"]} if "page_size" in command else {}
    found: list[Any] = []
    async for task in _client(command).list(_filter(command), **sizes):
        found.append(plain(task))
        if len(found) == command.get("limit"):
            break
    return {"tasks": found}


def _bounds(command: Fields) -> Fields:
    return {name: command[name] for name in ("limit", "dry_run") if name in command}


async def _redrive_many(command: Fields) -> Fields:
    return plain(await _client(command).redrive_many(_filter(command), **_bounds(command)))  # type: ignore[no-any-return]


async def _purge_many(command: Fields) -> Fields:
    return plain(await _client(command).purge_many(_filter(command), **_bounds(command)))  # type: ignore[no-any-return]


async def _attempts(command: Fields) -> Fields:
    return {"attempts": plain(await _client(command).attempts(command["task"]))}


async def _queues(command: Fields) -> Fields:
    return {"queues": plain(await _client(command).queues())}


async def _workers(command: Fields) -> Fields:
    return {"workers": plain(await _client(command).workers())}


async def _cluster(command: Fields) -> Fields:
    return plain(await _client(command).cluster())  # type: ignore[no-any-return]


async def _abort(command: Fields) -> Fields:
    task = under_way.get(command["of"])
    if task is not None:
        task.cancel()
    return {}


COMMANDS: dict[str, Callable[[Fields], Awaitable[Fields]]] = {
    "client.open": _open,
    "client.close": _close,
    "client.submit": _submit,
    "client.submit_many": _submit_many,
    "client.get": _get,
    "client.cancel": _cancel,
    "client.redrive": _redrive,
    "client.wait": _wait,
    "client.result": _result,
    "client.list": _list,
    "client.redrive_many": _redrive_many,
    "client.purge_many": _purge_many,
    "client.attempts": _attempts,
    "client.queues": _queues,
    "client.workers": _workers,
    "client.cluster": _cluster,
    "abort": _abort,
}
