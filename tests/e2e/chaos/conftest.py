"""What a cluster that can be broken needs beyond Python packages."""

import pytest

from chaos.backends.local.program import MissingProgram, tool


@pytest.fixture(scope="session")
def tools() -> None:
    """Skips where `make tools` could not build them."""
    try:
        tool("toxiproxy-server"), tool("etcd")
    except MissingProgram as error:
        pytest.skip(str(error))
