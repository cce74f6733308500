"""Calls to the scheduler: a time limit for each, errors of our own, and retries of what is safe to repeat."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
from tenacity import AsyncRetrying, retry_if_exception, stop_before_delay, wait_random_exponential

from taskyard import _status
from taskyard._channel import Scheduler, Schedulers
from taskyard.errors import DeadlineExceeded, TaskyardError, Unavailable

T = TypeVar("T")

Send = Callable[[Scheduler, float], Awaitable[T]]
"""Starts one call at a scheduler with a time limit in seconds."""

BACKOFF = wait_random_exponential(multiplier=0.05, max=2.0)


class Calls:
    """Sends calls to whichever scheduler is there.

    Args:
        schedulers: where to.
        time_limit: seconds that one call may take, with all its retries.
    """

    def __init__(self, schedulers: Schedulers, time_limit: float) -> None:
        self.schedulers = schedulers
        self._time_limit = time_limit

    async def call(self, send: Send[T], *, repeatable: bool = True) -> T:
        """The answer; raises TaskyardError.

        A call that didn't reach a scheduler is tried again, at another one if there are several. One whose outcome is
        unknown is tried again only if it is `repeatable`: carried out twice, it does what it does once.
        """
        self.schedulers.home.enter()
        deadline = asyncio.get_running_loop().time() + self._time_limit
        try:
            return await self._once(send, deadline)
        except Unavailable as error:
            if not _may_repeat(error, repeatable):
                raise
            unknown = error.outcome_unknown

        async def again() -> T:
            # What one try has left unknown stays so, though the next ones surely don't arrive.
            nonlocal unknown
            try:
                return await self._once(send, deadline)
            except Unavailable as error:
                unknown |= error.outcome_unknown
                error.outcome_unknown = unknown
                raise

        # Made for the failed call only, since it costs as much as a call.
        retrying = AsyncRetrying(
            retry=retry_if_exception(lambda error: _may_repeat(error, repeatable)),
            wait=BACKOFF,
            stop=stop_before_delay(self._time_limit),
            reraise=True,
        )
        return await retrying(again)

    async def ask(self, send: Send[T]) -> T:
        """The answer to a call that changes nothing, and so leaves nothing unknown when it fails."""
        try:
            return await self.call(send)
        except (Unavailable, DeadlineExceeded) as error:
            error.outcome_unknown = False
            raise

    async def _once(self, send: Send[T], deadline: float) -> T:
        scheduler = self.schedulers.current()
        remaining = deadline - asyncio.get_running_loop().time()
        try:
            return await send(scheduler, max(remaining, 0.0))
        except grpc.aio.AioRpcError as error:
            raise self.failure(scheduler, error) from error

    def failure(self, scheduler: Scheduler, error: grpc.aio.AioRpcError) -> TaskyardError:
        """The exception for a call that failed at a scheduler, which is avoided from now on if it is away."""
        failure = _status.of_call(error, scheduler.address)
        if isinstance(failure, Unavailable):
            self.schedulers.avoid(scheduler)
        return failure


def _may_repeat(error: BaseException, repeatable: bool) -> bool:
    return isinstance(error, Unavailable) and (repeatable or not error.outcome_unknown)
