"""What a worker is told at start: arguments first, then the environment, then defaults."""

import math
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

DEFAULT_DISPATCHER = "localhost:7071"
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
    labels: Mapping[str, str] | None = None,
    slots: int | None = None,
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
    settings = Settings(
        dispatchers=_addresses(dispatchers),
        name=name,
        labels={**parse_labels(environment.get("TASKYARD_WORKER_LABELS", "")), **(labels or {})},
        slots=slots,
        grace=grace,
        pod=environment.get("TASKYARD_POD_NAME", ""),
        node=environment.get("TASKYARD_NODE_NAME", ""),
        namespace=namespace or environment.get("TASKYARD_NAMESPACE") or "default",
        http_address=http_address,
    )
    _check(settings)
    return settings


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
        return f"python/{version('taskyard')}"
    except PackageNotFoundError:  # run from a source tree that isn't installed
        return "python/unknown"


def _addresses(dispatchers: str | Sequence[str]) -> tuple[str, ...]:
    parts = dispatchers.split(",") if isinstance(dispatchers, str) else dispatchers
    return tuple(part.strip() for part in parts if part.strip())


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


def _check(settings: Settings) -> None:
    if not settings.dispatchers:
        raise ValueError("dispatchers: at least one host:port is needed")
    if not 1 <= settings.slots <= MAX_SLOTS:
        raise ValueError(f"slots must be 1 to {MAX_SLOTS}, got {settings.slots}")
    if not 0 <= settings.grace < math.inf:
        raise ValueError(f"grace must be a number of seconds from 0 on, got {settings.grace}")
    if len(settings.labels) > MAX_LABELS:
        raise ValueError(f"labels: at most {MAX_LABELS}, got {len(settings.labels)}")
    for key, value in settings.labels.items():
        if not 1 <= len(key) <= MAX_LABEL_KEY:
            raise ValueError(f"labels: a key has 1 to {MAX_LABEL_KEY} characters, got {key!r}")
        if len(value) > MAX_LABEL_VALUE:
            raise ValueError(f"labels: {key}'s value is longer than {MAX_LABEL_VALUE} characters")
