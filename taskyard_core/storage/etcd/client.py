"""One door to etcd: access to it and what is done with that."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Self

from taskyard_core.runtime.clock import Clock, SystemClock
from taskyard_core.storage.etcd.access import Access
from taskyard_core.storage.etcd.grpc_access import GrpcAccess
from taskyard_core.storage.etcd.identity import IdentifiedAccess
from taskyard_core.storage.etcd.keys import EtcdKeys
from taskyard_core.storage.etcd.renewal import LeaseRenewal
from taskyard_core.storage.etcd.settings import EtcdSettings
from taskyard_core.storage.etcd.watch import PrefixWatch, WatchTiming
from taskyard_core.storage.identity import Identity


class Etcd:
    """An etcd cluster. Make it inside a running event loop; connects when first used.

    With an `identity` it answers only as far as it belongs to that cluster. A simulation gives another access, clock
    and source of chance than the defaults.
    """

    def __init__(
        self,
        settings: EtcdSettings,
        *,
        access: Access | None = None,
        identity: Identity | None = None,
        clock: Clock | None = None,
        draw: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.keys = EtcdKeys(settings.prefix)
        self.access = access or GrpcAccess(settings)
        if identity is not None:
            self.access = identified = IdentifiedAccess(self.access, self.keys, identity)
            identity.watch("etcd", identified.check)
        self.kv = self.access.kv
        self.clock = clock or SystemClock()
        self._draw = draw

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; leases that are left expire by themselves."""
        await self.access.close()

    async def ping(self) -> None:
        """Raise EtcdError unless etcd answers, lets us read, and is recent enough."""
        await self.kv.get(self.keys.cluster)
        await self.access.check_version()

    def renewal(self) -> LeaseRenewal:
        """Return a new renewal of leases, with a stream of its own; it must be run."""
        return LeaseRenewal(self.access, clock=self.clock, draw=self._draw)

    def watch(self, prefix: str, *, timing: WatchTiming | None = None) -> PrefixWatch:
        """Return an iterator over the changes under `prefix`."""
        return PrefixWatch(self.access, prefix, timing=timing, clock=self.clock, draw=self._draw)
