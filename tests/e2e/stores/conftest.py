"""One cluster for all tests of this directory, on stores that they stop and start."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.e2e.dev_cluster import DevCluster, dev_cluster
from tests.e2e.own_stores import OwnStores, own_stores


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def stores(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[OwnStores]:
    async with own_stores(tmp_path_factory.mktemp("stores")) as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def cluster(stores: OwnStores, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DevCluster]:
    directory = tmp_path_factory.mktemp("on-stores") / "cluster"
    options = (*stores.options, "--workers", "3", "--slots", "16")
    async with dev_cluster(directory, *options, records=stores.postgres.url, environment=stores.environment) as running:
        yield running
