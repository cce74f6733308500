"""Reading and writing keys over gRPC."""

from __future__ import annotations

from typing import Any

from etcd3aio._protobuf import (
    Compare,
    DeleteRangeRequest,
    PutRequest,
    RangeRequest,
    RequestOp,
    TxnRequest,
)
from etcd3aio.kv import prefix_range_end

from taskyard_core.storage.etcd.access import KeyValue, Listing, PutOutcome
from taskyard_core.storage.etcd.connection import EtcdConnection
from taskyard_core.storage.etcd.errors import EtcdCompacted


class KeyValues:
    """See KeySpace."""

    def __init__(self, connection: EtcdConnection) -> None:
        self._connection = connection

    async def get(self, key: str) -> KeyValue | None:
        """Return the key's current value (linearizable), or None if it doesn't exist."""
        response = await self._range(RangeRequest(key=key.encode()))
        return key_value(response.kvs[0]) if response.kvs else None

    async def get_prefix(self, prefix: str, *, page_size: int = 1000) -> Listing:
        """Return all keys under `prefix` as they were at one revision."""
        while True:
            try:
                return await self._list(prefix, page_size)
            except EtcdCompacted:
                # The revision of the first page went away while we paged: start over at a new one.
                continue

    async def put(self, key: str, value: bytes, *, lease: int = 0, repeatable: bool = False) -> int:
        """Write and return the revision."""
        request = PutRequest(key=key.encode(), value=value, lease=lease)
        response = await self._connection.call(lambda member: member.kv.Put, request, repeatable=repeatable)
        return int(response.header.revision)

    async def put_if(self, key: str, value: bytes, *, mod_revision: int, lease: int = 0) -> PutOutcome:
        """Write if the key's mod revision is still this; 0 means the key must not exist."""
        name = key.encode()
        request = TxnRequest(
            compare=[
                Compare(
                    key=name,
                    target=Compare.CompareTarget.Value("MOD"),
                    result=Compare.CompareResult.Value("EQUAL"),
                    mod_revision=mod_revision,
                )
            ],
            success=[RequestOp(request_put=PutRequest(key=name, value=value, lease=lease))],
            failure=[RequestOp(request_range=RangeRequest(key=name))],
        )
        return _outcome(await self._connection.call(lambda member: member.kv.Txn, request, repeatable=False))

    async def delete(self, key: str) -> bool:
        """Delete the key and return whether it existed (unknown after an internal repeat)."""
        response = await self._connection.call(
            lambda member: member.kv.DeleteRange,
            DeleteRangeRequest(key=key.encode()),
            repeatable=True,
        )
        return bool(response.deleted)

    async def _list(self, prefix: str, page_size: int) -> Listing:
        start, end = prefix.encode(), prefix_range_end(prefix)
        revision, items = 0, list[KeyValue]()
        while True:
            page = await self._range(RangeRequest(key=start, range_end=end, limit=page_size, revision=revision))
            # The later pages must show the state that the first one showed.
            revision = revision or page.header.revision
            items.extend(key_value(item) for item in page.kvs)
            if not page.more:
                return Listing(revision, tuple(items))
            start = page.kvs[-1].key + b"\0"

    async def _range(self, request: Any) -> Any:
        return await self._connection.call(lambda member: member.kv.Range, request, repeatable=True)


def key_value(item: Any) -> KeyValue:
    """Return etcd's message about a key as ours."""
    return KeyValue(item.key.decode(), item.value, item.create_revision, item.mod_revision, item.lease)


def _outcome(response: Any) -> PutOutcome:
    existing = None
    if not response.succeeded and response.responses[0].response_range.kvs:
        existing = key_value(response.responses[0].response_range.kvs[0])
    return PutOutcome(bool(response.succeeded), int(response.header.revision), existing)
