"""One door to etcd: a connection and what is done over it."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from scheduler.storage.etcd.connection import EtcdConnection
from scheduler.storage.etcd.keys import EtcdKeys
from scheduler.storage.etcd.kv import KeyValues
from scheduler.storage.etcd.renewal import LeaseRenewal
from scheduler.storage.etcd.settings import EtcdSettings
from scheduler.storage.etcd.watch import PrefixWatch, WatchTiming


class Etcd:
    """An etcd cluster. Make it inside a running event loop; connects when first used."""

    def __init__(self, settings: EtcdSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.connection = EtcdConnection(settings)
        self.keys = EtcdKeys(settings.prefix)
        self.kv = KeyValues(self.connection)
        self.clock = clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; leases that are left expire by themselves."""
        await self.connection.close()

    def renewal(self) -> LeaseRenewal:
        """Return a new renewal of leases, with a stream of its own; it must be run."""
        return LeaseRenewal(self.connection, clock=self.clock)

    def watch(self, prefix: str, *, timing: WatchTiming | None = None) -> PrefixWatch:
        """Return an iterator over the changes under `prefix`."""
        return PrefixWatch(self.connection, prefix, timing=timing, clock=self.clock)
