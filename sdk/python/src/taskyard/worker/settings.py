"""What a worker is told at start: arguments first, then the environment, then defaults."""

import math
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of

from taskyard._addresses import parse_addresses

DEFAULT_PORT = 7071
DEFAULT_DISPATCHER = f"localhost:{DEFAULT_PORT}"
DEFAULT_SLOTS = 100
DEFAULT_GRACE = 25.0
MAX_SLOTS = 10_000
MAX_LABELS = 64
MAX_LABEL_KEY = 63
MAX_LABEL_VALUE = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """A worker's settings, complete and checked."""

    dispatchers: tuple[str, ...]
    name: str
    labels: Mapping[str, str]
    slots: int
    processes: int
    """Processes for handlers with `process=True`."""
    queues: tuple[str, ...]
    version: str
    grace: float
    """Seconds that running attempts get to finish after SIGTERM."""
    pod: str
    node: str
    namespace: str
    http_address: str
    """host:port of /livez, /readyz and /metrics; empty: none."""


def resolve(
    *,
    dispatchers: str | Sequence[str] | None = None,
    name: str | None = None,
    labels: Mapping[str, str | int] | None = None,
    slots: int | None = None,
    processes: int | None = None,
    queues: str | Sequence[str] = (),
    version: str = "",
    grace: float | None = None,
    namespace: str | None = None,
    http_address: str | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Put the settings together. Raises ValueError naming the setting that is wrong.

    Labels of both sources are merged; an argument wins over the environment.
    """
    if dispatchers is None:
        dispatchers = environment.get("TASKYARD_DISPATCHERS") or DEFAULT_DISPATCHER
    if name is None:
        name = environment.get("TASKYARD_WORKER_NAME") or f"{socket.gethostname()}-{os.getpid()}"
    if slots is None:
        slots = _slots(environment.get("TASKYARD_WORKER_SLOTS") or str(DEFAULT_SLOTS))
    if grace is None:
        grace = _grace(environment.get("TASKYARD_WORKER_GRACE") or str(DEFAULT_GRACE))
    if http_address is None:
        http_address = environment.get("TASKYARD_WORKER_HTTP_ADDRESS", "")
    return Settings(
        dispatchers=parse_addresses(dispatchers, port=DEFAULT_PORT, field="dispatchers"),
        name=_text("name", name),
        labels=_labels({**parse_labels(environment.get("TASKYARD_WORKER_LABELS", "")), **_mapping(labels)}),
        slots=_whole("slots", slots, MAX_SLOTS),
        processes=_whole("processes", (os.cpu_count() or 1) if processes is None else processes, MAX_SLOTS),
        queues=_queues(queues),
        version=_text("version", version),
        grace=_finite("grace", grace),
        pod=_text("TASKYARD_POD_NAME", environment.get("TASKYARD_POD_NAME", "")),
        node=_text("TASKYARD_NODE_NAME", environment.get("TASKYARD_NODE_NAME", "")),
        namespace=_text("namespace", namespace or environment.get("TASKYARD_NAMESPACE") or "default"),
        http_address=_http_address(http_address),
    )


def parse_labels(text: str) -> dict[str, str]:
    """Labels written as "io=ssd,zone=a". Raises ValueError for a part without a key or "="."""
    labels = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, separator, value = part.partition("=")
        if not separator or not key.strip():
            raise ValueError(f"labels are written key=value,key=value; got {part!r}")
        labels[key.strip()] = value.strip()
    return labels


def sdk_version() -> str:
    """How this SDK calls itself in the hello."""
    try:
        return f"python/{version_of('taskyard')}"
    except PackageNotFoundError:  # run from a source tree that isn't installed
        return "python/unknown"


def _slots(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"TASKYARD_WORKER_SLOTS must be a whole number, got {text!r}") from None


def _grace(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"TASKYARD_WORKER_GRACE must be a number of seconds, got {text!r}") from None


def _text(field: str, value: object) -> str:
    """The value if it is text that can be sent."""
    if not isinstance(value, str):
        raise ValueError(f"{field} must be text, got {value!r}")
    if not value.isprintable():
        raise ValueError(f"{field} must be printable text, got {value!r}")
    return value


def _whole(field: str, value: object, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ValueError(f"{field} must be 1 to {most}, got {value!r}")
    return value


def _finite(field: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{field} must be a number of seconds from 0 on, got {value!r}")
    return float(value)


def _queues(queues: str | Iterable[str]) -> tuple[str, ...]:
    try:
        # Text is a list as everywhere else in the settings, not a sequence of letters.
        parts = [part.strip() for part in queues.split(",")] if isinstance(queues, str) else list(queues)
    except TypeError:
        raise ValueError(f"queues must be a list of names, got {queues!r}") from None
    return tuple(_text("queues: a name", part) for part in parts if part != "")


def _mapping(labels: object) -> Mapping[str, str | int]:
    if labels is None:
        return {}
    if not isinstance(labels, Mapping):
        raise ValueError(f"labels must be a mapping of text to text, got {labels!r}")
    return labels


def _labels(labels: Mapping[str, str | int]) -> dict[str, str]:
    if len(labels) > MAX_LABELS:
        raise ValueError(f"labels: at most {MAX_LABELS}, got {len(labels)}")
    return {_label_key(key): _label_value(key, value) for key, value in labels.items()}


def _label_key(key: object) -> str:
    if not 1 <= len(_text("labels: a key", key)) <= MAX_LABEL_KEY:
        raise ValueError(f"labels: a key has 1 to {MAX_LABEL_KEY} characters, got {key!r}")
    return str(key)


def _label_value(key: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)  # as selectors compare it: memory_gb>=16
    if not isinstance(value, str):
        raise ValueError(f"labels: {key}'s value must be text or a whole number, got {value!r}")
    if len(_text(f"labels: {key}'s value", value)) > MAX_LABEL_VALUE:
        raise ValueError(f"labels: {key}'s value is longer than {MAX_LABEL_VALUE} characters")
    return value


def _http_address(address: str) -> str:
    _, colon, port = _text("http_address", address).rpartition(":")
    if address and not (colon and port.isascii() and port.isdecimal() and int(port) < 65536):
        raise ValueError(f"http_address must be host:port, got {address!r}")
    return address
