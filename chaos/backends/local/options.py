"""How large a local cluster is, and what it may do."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

CHAOS_WORKER = (sys.executable, "-m", "chaos.worker")
"""The one that can misbehave."""


class Hand(NamedTuple):
    """A worker: its environment, on top of its addresses, name and log, and its program."""

    environment: Mapping[str, str] = {}
    command: tuple[str, ...] = CHAOS_WORKER


@dataclass(frozen=True, kw_only=True)
class Options:
    """A cluster below `directory`, which is made and must not exist.

    `settings` are further TASKYARD_ variables of the servers. `volume_bytes` puts the stores' data on volumes of that
    size in memory, which can then be full (root on Linux only). `clocks` lets wall clocks jump (needs libfaketime).
    `previous` is the revision that PREVIOUS means; by default the last tag, or the commit before this one.
    """

    directory: Path
    schedulers: int = 2
    dispatchers: int = 3
    workers: tuple[Hand, ...] = (Hand(),) * 4
    settings: Mapping[str, str] = field(default_factory=dict)
    volume_bytes: int = 0
    clocks: bool = False
    previous: str | None = None
    ready_seconds: float = 120.0
