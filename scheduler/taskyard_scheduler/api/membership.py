"""Who is alive, as the dispatchers write it to etcd."""

from datetime import datetime
from typing import Any

import orjson

from taskyard_core.storage.etcd import Etcd, KeyValue
from taskyard_scheduler.api.cluster import DispatcherRecord, LeaderRecord


class EtcdMembership:
    """Reads the dispatchers' own keys and those of the candidates. Every method raises StoreUnavailable."""

    def __init__(self, etcd: Etcd) -> None:
        self._etcd = etcd

    async def leader(self) -> LeaderRecord | None:
        """The candidate that came first leads. It tells its term where that is not its key's create revision."""
        first = min(await self._list(self._etcd.keys.election), key=lambda item: item.create_revision, default=None)
        if first is None:
            return None
        fields = orjson.loads(first.value)
        return LeaderRecord(
            id=str(fields["dispatcher_id"]),
            term=int(fields.get("term") or first.create_revision),
            pid=int(fields["pid"]),
            pod=str(fields["pod"]),
        )

    async def dispatchers(self) -> list[DispatcherRecord]:
        """All dispatchers that are alive, by id."""
        return [_dispatcher(orjson.loads(item.value)) for item in await self._list(self._etcd.keys.dispatchers)]

    async def _list(self, prefix: str) -> tuple[KeyValue, ...]:
        return (await self._etcd.kv.get_prefix(prefix)).items


def _dispatcher(fields: dict[str, Any]) -> DispatcherRecord:
    return DispatcherRecord(
        id=str(fields["dispatcher_id"]),
        pid=int(fields["pid"]),
        pod=str(fields["pod"]),
        session_address=str(fields["session_address"]),
        http_address=str(fields["http_address"]),
        version=str(fields["version"]),
        started_at=datetime.fromisoformat(str(fields["started_at"])),
    )
