"""Stores that belong to a test, which stops, freezes and wipes them; no supervisor brings them back."""

import asyncio
import json
import signal
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from taskyard_server.dev import etcd_users
from taskyard_server.dev.etcd import Etcd
from taskyard_server.dev.postgres import Postgres
from taskyard_server.dev.store import Store
from taskyard_server.dev.valkey import Valkey
from tests.e2e.eventually import eventually


class OwnStores(NamedTuple):
    """The three stores, running."""

    postgres: Postgres
    redis: Valkey
    etcd: Etcd

    @property
    def environment(self) -> dict[str, str]:
        """What tells a cluster to use them."""
        return {
            "TASKYARD_DEV_POSTGRES_URL": self.postgres.url,
            "TASKYARD_DEV_REDIS_URL": self.redis.url,
            "TASKYARD_ETCD_USER": self.etcd.user,
            "TASKYARD_ETCD_PASSWORD": self.etcd.password,
        }

    @property
    def options(self) -> list[str]:
        """What else does, and is no secret."""
        return ["--etcd-endpoints", self.etcd.url]


@asynccontextmanager
async def own_stores(directory: Path) -> AsyncIterator[OwnStores]:
    """Starts one of each; whatever became of them, none is left at the end."""
    stores = OwnStores(
        Postgres(directory / "postgres"), Valkey(directory / "redis"), Etcd(directory / "etcd", passwords=True)
    )
    try:
        await asyncio.gather(*(store.start() for store in stores))
        await asyncio.gather(*(store.wait_ready() for store in stores))
        yield stores
    finally:
        await asyncio.gather(*(store.stop() for store in stores))


async def end(store: Store, number: signal.Signals) -> None:
    """Sends a signal that ends the server, and waits until it has."""
    store.process.send(number)

    async def has_ended() -> bool:
        return not store.running

    await eventually(has_ended, within=10, every=0.01)


async def start_again(store: Store) -> None:
    """Starts it on its old data and waits until it answers."""
    await store.start()
    await store.wait_ready()


@asynccontextmanager
async def frozen(store: Store) -> AsyncIterator[None]:
    """Inside, the server is stopped: it accepts connections, and never answers."""
    server = psutil.Process(store.pid)
    # Postgres answers from children, each in a process group of its own.
    processes = [server, *server.children(recursive=True)]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


async def passed(moment: float) -> bool:
    """Whether a moment (monotonic) lies behind; for outages that have to last."""
    return time.monotonic() >= moment


def ask_etcd(stores: OwnStores, path: str, **body: Any) -> dict[str, Any]:
    """A call of etcd's JSON gateway, as root."""
    root = {"name": etcd_users.ROOT, "password": stores.etcd.secret(etcd_users.ROOT)}
    return _call(stores, path, body, {"Authorization": _call(stores, "auth/authenticate", root)["token"]})


def _call(stores: OwnStores, path: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> dict[str, Any]:
    url, data = f"http://{stores.etcd.url}/v3/{path}", json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers or {}), timeout=10) as reply:
        found: dict[str, Any] = json.load(reply)
        return found
