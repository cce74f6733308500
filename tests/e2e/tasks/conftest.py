"""One cluster for all tests of this directory; its third worker alone has an SSD."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.dev_cluster import DevCluster, dev_cluster


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevCluster]:
    directory = tmp_path_factory.mktemp("tasks") / "cluster"
    options = ("--workers", "3", "--worker-label", "3:io=ssd", "--slots", "8")
    async with dev_cluster(directory, *options) as running:
        yield running
