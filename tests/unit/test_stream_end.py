"""The end of a session's stream."""

import asyncio
from typing import Any, cast
from unittest.mock import patch

import grpc.aio
import pytest
from grpc._cython import cygrpc  # type: ignore[attr-defined]

from taskyard_core.domain.matching import Capabilities
from taskyard_core.domain.transitions import Runner
from taskyard_core.runtime.background import Background
from taskyard_core.runtime.clock import SystemClock
from taskyard_dispatcher.gateway.reception import Reception
from taskyard_dispatcher.gateway.stream import SessionStreams, _report_failures
from taskyard_dispatcher.sessions.state import Session


class Noted:
    """A grace that remembers whose streams ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.told = asyncio.Event()

    def begin(self, session: Session, settled: object) -> None:
        self.ended.append(session.id)
        self.told.set()


def made() -> Session:
    return Session(
        id="s",
        generation=1,
        runner=Runner("s", "w"),
        capabilities=Capabilities("default", frozenset(["x"])),
        slots=1,
        draining=False,
    )


@pytest.mark.parametrize(
    ("stopping", "ended"),
    # Streams of a dispatcher that stops end because it says so, and their sessions live on elsewhere.
    [(False, ["s"]), (True, [])],
)
async def test_the_end_is_noted_although_the_call_is_cancelled_while_its_parts_still_end(
    stopping: bool, ended: list[str]
) -> None:
    session = made()
    release, stuck = asyncio.Event(), asyncio.Event()

    async def opened(*_: Any) -> Session:
        return session

    async def stubborn(*_: Any) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            stuck.set()
            await release.wait()

    async def over(*_: Any) -> None:
        return None

    streams, grace = object.__new__(SessionStreams), Noted()
    unused = cast("Any", None)
    streams._reception = Reception(unused, unused, SystemClock(), 1.0)
    streams._grace, streams._background, streams._stopping = grace, Background(), stopping  # type: ignore[assignment]
    with patch.multiple(SessionStreams, _open=opened, _write=stubborn, _read=over, _watch=stubborn):
        call = asyncio.create_task(streams.Session(None, None))  # type: ignore[arg-type]
        await stuck.wait()
        call.cancel()
        await asyncio.wait([call])
        assert (grace.ended, session.connected) == (ended, False)
        release.set()
        await streams._background.close()


@pytest.mark.parametrize(
    "broken",
    [
        grpc.aio.UsageError("RPC already finished."),
        # What a write comes to whose worker has vanished meanwhile.
        cygrpc.ExecuteBatchError("Failed execute_batch"),
    ],
)
async def test_a_worker_that_vanished_is_no_error_of_ours(broken: Exception, caplog: pytest.LogCaptureFixture) -> None:
    async def fails(error: Exception) -> None:
        raise error

    await _report_failures(made(), [asyncio.ensure_future(fails(broken))])
    assert not caplog.records
    await _report_failures(made(), [asyncio.ensure_future(fails(TypeError("nobody thought of this")))])
    assert "session failed" in caplog.text
