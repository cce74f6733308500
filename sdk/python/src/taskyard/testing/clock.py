"""An event loop whose clock is skipped ahead while all that it waits for is time."""

import asyncio
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple, Unpack

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class SkippingLoop(asyncio.SelectorEventLoop):
    """Its time begins at 0 and stands still while code runs.

    While sockets are open or threads work, whose pace is their own, it runs as clocks do.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._errands = 0
        self.occupied: Callable[[], bool] = lambda: False
        """Whether something else works that nothing shall be skipped for."""
        super().__init__(_SkippingSelector(self))

    def time(self) -> float:
        """Seconds since it began."""
        return self._now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Arguments]], Result], *args: *Arguments
    ) -> "asyncio.Future[Result]":
        """As every event loop; what runs there is waited for at its own pace."""
        self._errands += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._back)
        return future

    def _back(self, _: object) -> None:
        self._errands -= 1

    @property
    def may_skip(self) -> bool:
        """Whether nothing but time is waited for."""
        return not self._errands and not self.occupied()

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class _SkippingSelector(selectors.DefaultSelector):
    """Waits as long as it is told to, but not really if nobody could come."""

    def __init__(self, loop: SkippingLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready."""
        # The one file that is always there is the loop's own, by which threads wake it.
        if self._loop.may_skip and len(self.get_map()) <= 1:
            ready = super().select(0 if timeout else timeout)
            if timeout and not ready:
                self._loop.pass_by(timeout)
            return ready
        began = time.monotonic()
        ready = super().select(timeout)
        self._loop.pass_by(time.monotonic() - began)
        return ready
