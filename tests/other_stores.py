"""A pytest plugin: the suites on other releases of the stores than the packaged ones; `make test-stores` uses it.

STORE_POSTGRES is a directory with `postgres` and `initdb`, STORE_REDIS and STORE_ETCD are programs; each may be left
out.
"""

import dataclasses
import os
from pathlib import Path

import pytest

from taskyard_server.dev.etcd import Etcd
from taskyard_server.dev.postgres import Postgres
from taskyard_server.dev.process import ProcessSpec
from taskyard_server.dev.valkey import Valkey

# Flags of later releases.
_LATER = ("--max-learners", "--unsafe-no-fsync")


def pytest_configure() -> None:
    """Put the programs in place of the packaged ones."""
    patch = pytest.MonkeyPatch()
    if postgres := os.environ.get("STORE_POSTGRES"):
        patch.setattr(Postgres, "_program", staticmethod(lambda name: Path(postgres, name)))
    if redis := os.environ.get("STORE_REDIS"):
        patch.setattr(Valkey, "binary", Path(redis))
    if etcd := os.environ.get("STORE_ETCD"):
        patch.setattr(Etcd, "binary", Path(etcd))
        patch.setattr(Etcd, "_spec", _plain(Etcd._spec))


def _plain(spec: object) -> object:
    def spec_of(self: Etcd) -> ProcessSpec:
        made: ProcessSpec = spec(self)  # type: ignore[operator]
        argv = tuple(word for word in made.argv if not word.startswith(_LATER))
        return dataclasses.replace(made, argv=argv)

    return spec_of
