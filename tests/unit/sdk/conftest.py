"""A stub scheduler, its address, and a client of it; a stub dispatcher."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from taskyard import Client
from tests.unit.sdk.stub import StubScheduler, serving
from tests.unit.sdk.stub_dispatcher import StubDispatcher


@pytest_asyncio.fixture
async def stub() -> StubScheduler:
    return StubScheduler()


@pytest_asyncio.fixture
async def address(stub: StubScheduler) -> AsyncIterator[str]:
    async with serving(stub) as address:
        yield address


@pytest_asyncio.fixture
async def client(address: str) -> AsyncIterator[Client]:
    # However slow the machine is: tests that are about a time limit set one of their own.
    async with Client(address, namespace="tests", time_limit=600) as client:
        yield client


@pytest.fixture
def dispatcher() -> Iterator[StubDispatcher]:
    with StubDispatcher() as stub:
        yield stub
