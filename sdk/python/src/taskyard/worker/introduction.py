"""What a worker says of itself when it is at work."""

import hashlib
from typing import Any

from taskyard._gen import worker_service_pb2 as wire

_SHOWN = 5
"""Names of a kind that one line has room for."""


def introduction(hello: wire.Hello) -> str:
    """One line for people."""
    parts = [f"{hello.slots} slot{'' if hello.slots == 1 else 's'}"]
    if hello.labels:
        parts.append("labels " + _some([f"{key}={value}" for key, value in sorted(hello.labels.items())]))
    if hello.queues:
        parts.append("queues " + _some(list(hello.queues)))
    if hello.namespace != "default":
        parts.append(f"namespace {hello.namespace}")
    return f"worker {hello.worker} serves {_some(list(hello.types))} ({'; '.join(parts)})"


def facts(hello: wire.Hello) -> dict[str, Any]:
    """The same for machines, complete."""
    return {
        "worker": hello.worker,
        "namespace": hello.namespace,
        "types": list(hello.types),
        "queues": list(hello.queues),
        "labels": dict(hello.labels),
        "slots": hello.slots,
        "session": _public_name(hello.session_id),
        "sdk": hello.sdk,
    }


def _public_name(session: str) -> str:
    """What servers call a session: whoever knows its id could take it over."""
    return hashlib.sha256(session.encode()).hexdigest()[:12]


def _some(names: list[str]) -> str:
    left_out = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {left_out} more" if left_out > 0 else "")
