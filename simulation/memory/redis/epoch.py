"""The lanes' epoch in memory."""

from simulation.memory.redis.client import RedisClient
from taskyard_core.storage.term import TermOver


class MemoryEpoch:
    """See taskyard_core.storage.epoch.LaneEpoch."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def current(self) -> str | None:
        """The epoch now; None when none has begun since the last wipe."""
        server = self._client.server

        def read() -> str | None:
            begun = server.streams.epoch
            return None if begun is None else f"{begun[1]}:{server.run_id}"

        return await self._client.call(read)

    async def begin(self, term: int, *, regardless: bool = False) -> str:
        """Begins a new epoch; raises TermOver."""
        server = self._client.server

        def begin() -> str | None:
            epoch = server.word()
            begun = server.write(lambda streams: streams.begin_epoch(term, epoch, regardless))
            return f"{epoch}:{server.run_id}" if begun else None

        epoch = await self._client.call(begin)
        if epoch is None:
            raise TermOver(f"term {term} is over: a later leader has begun an epoch of the lanes")
        return epoch
