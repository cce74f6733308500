"""Who one is to etcd, against a member that says nothing at all to tokens that it does not know."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from etcd3aio._protobuf import AuthenticateRequest, RangeRequest

from taskyard_core.storage.etcd import Etcd, EtcdSettings, EtcdUnavailable
from taskyard_core.storage.etcd.login import Login


class Member:
    """Gives tokens by number and knows the last one only; like etcd it waits with one of a later revision."""

    def __init__(self) -> None:
        self.logins = 0
        self.waits = False

    async def authenticate(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        """An AuthenticateResponse whose token (field 2) is one letter."""
        assert AuthenticateRequest.FromString(request).name == "somebody"
        self.logins += 1
        return b"\x12\x01" + b"%c" % (64 + self.logins)

    async def range(self, request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        """An empty RangeResponse."""
        assert RangeRequest.FromString(request).key
        token = dict(context.invocation_metadata() or ())["token"]
        if self.waits or token != chr(64 + self.logins):
            await asyncio.Event().wait()
        return b""


@asynccontextmanager
async def client_of(member: Member) -> AsyncIterator[Etcd]:
    server = grpc.aio.server()
    for service, method, handler in (("Auth", "Authenticate", member.authenticate), ("KV", "Range", member.range)):
        known = {method: grpc.unary_unary_rpc_method_handler(handler)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"etcdserverpb.{service}", known),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    settings = EtcdSettings(
        endpoints=(f"127.0.0.1:{port}",), username="somebody", password="hush", request_timeout=0.5, attempts=2
    )
    try:
        async with Etcd(settings) as etcd:
            yield etcd
    finally:
        await server.stop(None)


async def test_a_token_that_is_met_with_silence_is_given_up() -> None:
    member = Member()
    async with client_of(member) as etcd:
        assert await etcd.kv.get("a") is None
        member.logins += 1
        assert await asyncio.gather(*(etcd.kv.get("a") for _ in range(5))) == [None] * 5
        # The first one's, another's that is known here no more, and one more for all five.
        assert member.logins == 3


async def test_silence_to_a_new_token_is_an_outage() -> None:
    member = Member()
    async with client_of(member) as etcd:
        member.waits = True
        with pytest.raises(EtcdUnavailable):
            await etcd.kv.get("a")
        member.waits = False
        assert await etcd.kv.get("a") is None


def refusing(gate: asyncio.Event) -> Callable[[], Awaitable[str | None]]:
    async def ask() -> str | None:
        await gate.wait()
        raise EtcdUnavailable("away")

    return ask


async def test_all_who_wait_for_one_login_are_told_how_it_ended() -> None:
    gate = asyncio.Event()
    login = Login(refusing(gate))
    waiting = [asyncio.ensure_future(login.token()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    gate.set()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(end) for end in ends] == [asyncio.CancelledError, EtcdUnavailable, EtcdUnavailable]


async def test_a_doubt_about_an_older_token_costs_no_login() -> None:
    numbers = iter("ABC")

    async def ask() -> str | None:
        return next(numbers)

    login = Login(ask)
    first = await login.token()
    login.doubt(first)
    second = await login.token()
    login.doubt(first)
    assert (first, second, await login.token()) == ("A", "B", "B")


async def test_a_login_under_way_ends_with_the_connection() -> None:
    login = Login(refusing(asyncio.Event()))
    waiting = asyncio.ensure_future(login.token())
    await asyncio.sleep(0)
    await login.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
