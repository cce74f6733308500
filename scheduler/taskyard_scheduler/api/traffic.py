"""Bytes under way through a scheduler's API, in both directions and over both transports: bounded before the work."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from taskyard_core.domain import limits
from taskyard_scheduler.api import failures
from taskyard_scheduler.api.shares import Shares

_PATIENCE_SECONDS = 10.0
"""How long a caller waits for its turn before it is sent away with a time to try again."""
_HURRIED_SECONDS = 2.0
"""How long others take once somebody waits for them."""


class Moving:
    """A block that waits for a client, which may be slow; raises Failure in it when it is too slow.

    It is cancelled as by `asyncio.timeout`, but has no timer of its own: nearly all blocks are over at once.
    """

    __slots__ = ("_cancelling", "_task", "_watch", "_what", "began", "end", "expired")

    def __init__(self, watch: "Watch", what: str, seconds: float) -> None:
        self._watch = watch
        self._what = what
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self.began = 0.0
        self.end = seconds
        """When it is over, once it has begun."""
        self.expired = False

    async def __aenter__(self) -> None:
        self._task = task = asyncio.current_task()
        assert task is not None
        self._cancelling = task.cancelling()
        self._watch.begin(self)

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._watch.moving.pop(self)
        if not self.expired or self._task is None:
            return
        # Whoever else cancelled the task is not to be kept from it.
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise failures.too_many(self._what) from None

    def expire(self) -> None:
        """Its time is over."""
        self.expired = True
        if self._task is not None:
            self._task.cancel()


class Watch:
    """Ends blocks in their time, with one timer for all of them."""

    def __init__(self) -> None:
        self.moving: dict[Moving, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, one: Moving) -> None:
        """It has begun, and has so many seconds as its end says."""
        loop = asyncio.get_running_loop()
        one.began = loop.time()
        one.end += one.began
        self.moving[one] = None
        if self._timer is None or one.end < self._timer.when():
            self._look_at(loop, one.end)

    def hurry(self, seconds: float) -> None:
        """None has longer than that from its beginning."""
        for one in self.moving:
            one.end = min(one.end, one.began + seconds)
        self._look_next(asyncio.get_running_loop())

    def _look(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now = loop.time()
        for one in self.moving:
            if one.end <= now and not one.expired:
                one.expire()
        self._look_next(loop)

    def _look_next(self, loop: asyncio.AbstractEventLoop) -> None:
        end = min((one.end for one in self.moving if not one.expired), default=None)
        if end is not None:
            self._look_at(loop, end)

    def _look_at(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(when, self._look)


class Direction:
    """Bytes that come in, or bytes that go out. A slow client has as long as `patient` while nobody waits for it."""

    def __init__(self, most: int, each: int, patient: float) -> None:
        self._patient = patient
        self._watch = Watch()
        self._shares = Shares(most, each, self._hurry)

    @property
    def spent(self) -> int:
        """Bytes under way."""
        return self._shares.spent

    @property
    def callers(self) -> int:
        """Who has bytes under way."""
        return self._shares.callers

    async def spend(self, who: str, size: int) -> None:
        """Take room for so many bytes of the caller, in its turn; raises Failure when it takes too long."""
        if self._shares.take(who, size):
            return
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._shares.spend(who, size)
        except TimeoutError:
            raise failures.too_many("too much is under way here at once") from None

    def resize(self, who: str, size: int, to: int) -> None:
        """What the caller took room for has another size than it seemed."""
        if to > size:
            self._shares.overdraw(who, to - size)
        else:
            self._shares.give_back(who, size - to)

    def give_back(self, who: str, size: int) -> None:
        """The bytes are no longer under way."""
        self._shares.give_back(who, size)

    @asynccontextmanager
    async def room(self, who: str, size: int) -> AsyncIterator[None]:
        """Room for so many bytes of the caller, for as long as the block runs."""
        await self.spend(who, size)
        try:
            yield
        finally:
            self.give_back(who, size)

    def moving(self, what: str) -> Moving:
        """The block waits for a client, which may be slow; raises Failure when it is too slow."""
        return Moving(self._watch, what, self._patient if self._shares.fits(1) else _HURRIED_SECONDS)

    def _hurry(self) -> None:
        self._watch.hurry(_HURRIED_SECONDS)


class Traffic:
    """Both directions of one scheduler."""

    def __init__(self) -> None:
        self.arriving = Direction(limits.ARRIVING_BYTES, limits.ARRIVING_BYTES_EACH, limits.BODY_SECONDS)
        self.leaving = Direction(limits.LEAVING_BYTES, limits.LEAVING_BYTES_EACH, limits.SENDING_SECONDS)
