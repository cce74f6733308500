"""The lanes' epoch in Redis."""

import uuid
from typing import Any

from redis.asyncio import Redis

from taskyard_core.storage.redis.batch import Batch
from taskyard_core.storage.redis.connection import check_version
from taskyard_core.storage.redis.keys import Keys
from taskyard_core.storage.redis.script import Script
from taskyard_core.storage.term import TermOver

_BEGIN = Script.load("begin_epoch")


class LaneEpoch:
    """Joins a random key, which a wipe takes away, with the server's run id, which no other server and no second start
    has. See taskyard_core.storage.epoch.LaneEpoch.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys

    async def current(self) -> str | None:
        """The epoch now; None when none has begun since the last wipe."""
        epoch, server = await Batch(self._redis).add("HGET", self._keys.epoch, "epoch").add("INFO", "server").send()
        check_version(server)
        return None if epoch is None else _joined(epoch.decode(), server)

    async def begin(self, term: int, *, regardless: bool = False) -> str:
        """Begins a new epoch as the leader of `term` and returns it. Raises TermOver."""
        epoch = uuid.uuid4().hex
        beginning = Batch(self._redis).call(_BEGIN, [self._keys.epoch], [term, epoch, int(regardless)])
        begun, server = await beginning.add("INFO", "server").send()
        if not begun:
            raise TermOver(f"term {term} is over: a later leader has begun an epoch of the lanes")
        return _joined(epoch, server)


def _joined(epoch: str, server: dict[str, Any]) -> str:
    return f"{epoch}:{server['run_id']}"
