"""Checks of the chart need the tools that `make verify-deploy` builds."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.chart import TOOLS, VALUES, Release, release
from tests.deploy.dockerfile import IMAGES
from tests.deploy.python import ABSENT, python

NEEDED = ("helm", "helm-docs")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest, and mostly waits, begins first: another process runs the rest beside it."""
    items.sort(key=lambda item: item.path.name != "test_pods.py")


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


@pytest.fixture(scope="session")
def assembled() -> Iterator[Path]:
    """Both images' files, put together by their Python in a place that everybody can read."""
    if (found := python()) is None:
        pytest.skip(ABSENT)
    place = Path(f"/var/tmp/taskyard-images-{os.getpid()}")
    for image in ("server", "worker"):
        command = [str(found), str(IMAGES / "assemble.py"), image, str(place / image)]
        subprocess.run(command, check=True, umask=0o022)
    yield place
    shutil.rmtree(place)
