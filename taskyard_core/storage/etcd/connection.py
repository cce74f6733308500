"""Calls to a cluster of etcd members, with failover from one to the next."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, MutableSequence
from typing import Any

import grpc
import grpc.aio
from etcd3aio._protobuf import AuthenticateRequest
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from taskyard_core.storage.etcd.errors import (
    EtcdAsksNobody,
    EtcdError,
    EtcdUnauthenticated,
    EtcdUnavailable,
    from_rpc,
    from_status,
)
from taskyard_core.storage.etcd.login import Login
from taskyard_core.storage.etcd.member import Member
from taskyard_core.storage.etcd.settings import EtcdSettings
from taskyard_core.storage.etcd.stream import Stream

_log = logging.getLogger(__name__)

Metadata = tuple[tuple[str, str], ...]


class EtcdConnection:
    """Sends calls to one member and moves on to the next when that one doesn't answer.

    Make it inside a running event loop and close it there.
    """

    def __init__(
        self,
        settings: EtcdSettings,
        *,
        shuffle: Callable[[MutableSequence[Any]], None] = random.shuffle,
    ) -> None:
        self.settings = settings
        self._members = [Member(endpoint, settings) for endpoint in settings.endpoints]
        # Clients that all start with the first endpoint would all load the same member.
        shuffle(self._members)
        self._active = 0
        self._login = Login(self._authenticate)

    @property
    def member(self) -> Member:
        """The member that the next call goes to."""
        return self._members[self._active]

    async def close(self) -> None:
        """Close every channel."""
        await self._login.close()
        for member in self._members:
            await member.close()

    def suspect(self, place: str) -> None:
        """Go to the next member if calls still go to the one at `place` (host:port)."""
        if self.member.address == place and len(self._members) > 1:
            self._active = (self._active + 1) % len(self._members)
            _log.info("etcd member %s does not answer; going to %s", place, self.member.address)

    async def call(
        self,
        method: Callable[[Member], Any],
        request: Any,
        *,
        repeatable: bool,
        timeout: float | None = None,
    ) -> Any:
        """Return the response to a unary call, each attempt bounded by `timeout` seconds.

        A call that is not `repeatable` is repeated only if the first one cannot have been carried
        out. Raises EtcdUnavailable when no member answered, EtcdRejected when one refused.
        """
        attempts = AsyncRetrying(
            stop=stop_after_attempt(self.settings.attempts),
            wait=wait_random_exponential(multiplier=0.05, max=0.5),
            retry=retry_if_exception(lambda error: self._may_repeat(error, repeatable=repeatable)),
            reraise=True,
        )
        return await attempts(self._attempt, method, request, timeout)

    async def stream(self, method: Callable[[Member], Any]) -> Stream:
        """Open a bidirectional call that ends by itself if its member loses the etcd leader."""
        member = self.member
        token = await self._token()
        return Stream(
            method(member)(metadata=(("hasleader", "true"), *_metadata(token))),
            failed=lambda error: self._noticed(member, error, token),
            place=member.address,
        )

    async def _attempt(self, method: Callable[[Member], Any], request: Any, timeout: float | None) -> Any:
        member = self.member
        return await self._send(member, method(member), request, await self._token(), timeout)

    async def _send(self, member: Member, method: Any, request: Any, token: str | None, timeout: float | None) -> Any:
        deadline = self.settings.request_timeout if timeout is None else timeout
        try:
            return await method(request, timeout=deadline, metadata=_metadata(token))
        except grpc.aio.AioRpcError as error:
            raise self._noticed(member, error, token) from error

    def ended(self, place: str, reason: str) -> EtcdError:
        """Return the error for a stream that the member at `place` ended in words, not by status."""
        denied = "permission denied" in reason
        code = grpc.StatusCode.PERMISSION_DENIED if denied else grpc.StatusCode.UNAVAILABLE
        return self._concluded(from_status(code, reason, place), place, self._login.current)

    def _noticed(self, member: Member, error: grpc.aio.AioRpcError, token: str | None) -> EtcdError:
        return self._concluded(from_rpc(error, member.address), member.address, token)

    def _concluded(self, failure: EtcdError, place: str, token: str | None) -> EtcdError:
        """Draw the consequences of a failure and return it."""
        if isinstance(failure, EtcdUnavailable):
            self.suspect(place)
        if isinstance(failure, EtcdUnauthenticated | EtcdUnavailable):
            # etcd waits with a token of a later revision than it has come to, and one that was replaced never comes
            # to it: what looks like silence may be the token.
            self._login.doubt(token)
        return failure

    def _may_repeat(self, error: BaseException, *, repeatable: bool) -> bool:
        if isinstance(error, EtcdUnavailable):
            return repeatable or not error.sent
        return isinstance(error, EtcdUnauthenticated) and self.settings.username is not None

    async def _token(self) -> str | None:
        return None if self.settings.username is None else await self._login.token()

    async def _authenticate(self) -> str | None:
        """A token; None while etcd asks nobody who they are, so that users can be set up here before there."""
        member = self.member
        request = AuthenticateRequest(name=self.settings.username, password=self.settings.password)
        try:
            response = await self._send(member, member.auth.Authenticate, request, None, None)
        except EtcdAsksNobody:
            return None
        return str(response.token)


def _metadata(token: str | None) -> Metadata:
    return (("token", token),) if token else ()
