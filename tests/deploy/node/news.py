"""Waiting for what becomes true whenever something has changed."""

import asyncio
from collections.abc import Callable


class News:
    """Told of every change of any pod; wakes whoever waits for one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._readers: list[Callable[[], None]] = []
        self._failure: BaseException | None = None

    def read_by(self, reader: Callable[[], None]) -> None:
        """From now on call `reader` at each change."""
        self._readers.append(reader)

    def tell(self) -> None:
        """Something has changed."""
        self._event.set()
        self._event = asyncio.Event()
        for reader in self._readers:
            reader()

    def fail(self, error: BaseException) -> None:
        """Nothing good will come any more: whoever waits is told of this error."""
        self._failure = error
        self.tell()

    async def until(self, condition: Callable[[], object], *, within: float) -> None:
        """Returns once the condition holds; TimeoutError when that takes longer than `within` seconds."""
        async with asyncio.timeout(within):
            while not condition():
                if self._failure:
                    raise self._failure
                await self._event.wait()
