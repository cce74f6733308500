"""A stub scheduler, its address, and a client of it."""

from collections.abc import AsyncIterator

import pytest_asyncio

from taskyard import Client
from tests.unit.sdk.stub import StubScheduler, serving


@pytest_asyncio.fixture
async def stub() -> StubScheduler:
    return StubScheduler()


@pytest_asyncio.fixture
async def address(stub: StubScheduler) -> AsyncIterator[str]:
    async with serving(stub) as address:
        yield address


@pytest_asyncio.fixture
async def client(address: str) -> AsyncIterator[Client]:
    async with Client(address, namespace="tests", time_limit=5) as client:
        yield client
