"""A budget of bytes: what is under way at once is bounded before the work begins, not counted after it."""

import asyncio
from collections import deque
from contextlib import suppress


class Budget:
    """At most `most` bytes spent at once. Who waits is served in the order in which it came.

    One expense larger than the whole budget passes alone, so that nothing legal waits for ever.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._spent = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def spent(self) -> int:
        """Bytes under way."""
        return self._spent

    def allows(self, size: int) -> bool:
        """Whether `size` bytes could be spent without waiting."""
        return not self._waiting and self._fits(size)

    def take(self, size: int) -> bool:
        """Spend `size` bytes if that needs no waiting, and say whether it did; give them back with `give_back`."""
        if not self.allows(size):
            return False
        self._spent += size
        return True

    async def spend(self, size: int) -> None:
        """Wait until `size` bytes may be spent; give them back with `give_back`."""
        if self.take(size):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # Its turn had come in the same moment.
                self.give_back(size)
            else:
                with suppress(ValueError):
                    # Whoever was served meanwhile may have passed over it already.
                    self._waiting.remove((size, turn))
                self._serve()
            raise

    def overdraw(self, size: int) -> None:
        """Spend without asking what turned out to be larger than it seemed; others wait until it is back."""
        self._spent += size

    def give_back(self, size: int) -> None:
        """These bytes are no longer under way."""
        self._spent -= size
        self._serve()

    def _fits(self, size: int) -> bool:
        return self._spent + size <= self._most or not self._spent

    def _serve(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size, turn = self._waiting.popleft()
            if turn.cancelled():
                continue
            self._spent += size
            turn.set_result(None)
