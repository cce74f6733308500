"""Checks of the chart need the tools that `make verify-deploy` builds."""

from pathlib import Path

import pytest

from tests.deploy.chart import TOOLS, VALUES, Release, release

NEEDED = ("helm", "helm-docs")


@pytest.fixture(scope="session", autouse=True)
def _tools() -> None:
    missing = [name for name in NEEDED if not (TOOLS / name).exists()]
    if missing:
        pytest.skip(f"no {', '.join(missing)}: `make verify-deploy` builds them")


@pytest.fixture(params=VALUES, ids=lambda path: path.name.removesuffix("-values.yaml"))
def values(request: pytest.FixtureRequest) -> Path:
    """Each values file in turn."""
    path: Path = request.param
    return path


@pytest.fixture
def rendering(values: Path) -> Release:
    """What Helm makes of it."""
    return release(values)
