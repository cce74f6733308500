"""What a request comes to that is not answered by the time its server has to stop."""

import asyncio
from typing import Any, cast

import orjson
from starlette.types import Message, Receive, Scope, Send

from taskyard_core.runtime.listening import listen
from taskyard_core.web.server import HttpServer
from taskyard_scheduler.api.rest.gate import Gate

SCOPE: Scope = {"type": "http", "method": "POST", "path": "/v1/tasks", "headers": [], "query_string": b""}


async def test_a_call_that_outlives_the_grace_is_told_to_ask_another_server() -> None:
    under_way = asyncio.Event()

    async def waits_for_a_frozen_store(scope: Scope, receive: Receive, send: Send) -> None:
        under_way.set()
        await asyncio.Event().wait()

    server = HttpServer(Gate(waits_for_a_frozen_store, cast("Any", None), ()), keep_alive=5)
    listeners, address = listen("127.0.0.1:0")
    await server.start(listeners)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    writer.write(b"POST /v1/tasks HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n")
    await under_way.wait()
    await server.stop(0.1)
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert b" 503 " in head.splitlines()[0]
    problem = orjson.loads(body)
    assert (problem["reason"], problem["status"]) == ("UNAVAILABLE", 503)
    assert problem["retry_after"]


async def test_nothing_is_added_to_an_answer_that_has_begun() -> None:
    sent: list[Message] = []
    begun = asyncio.Event()

    async def stops_in_the_middle(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        begun.set()
        await asyncio.Event().wait()

    async def send(message: Message) -> None:
        sent.append(message)

    gate = Gate(stops_in_the_middle, cast("Any", None), ())
    call = asyncio.create_task(gate(SCOPE, cast("Any", None), send))
    await begun.wait()
    call.cancel()
    await call
    assert [message["type"] for message in sent] == ["http.response.start"]
