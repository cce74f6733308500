"""One cluster for all tests of this directory, which kill its processes; each test waits until it is whole again."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.dev_cluster import DevCluster, dev_cluster


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevCluster]:
    directory = tmp_path_factory.mktemp("processes") / "cluster"
    async with dev_cluster(directory, "--workers", "4", "--slots", "16") as running:
        yield running
