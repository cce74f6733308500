"""Users and TLS."""

import asyncio
import dataclasses
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from taskyard_core.storage.etcd import Etcd, EtcdRejected, EtcdSettings, EtcdUnavailable
from taskyard_server.dev.etcd import Etcd as EtcdServer
from taskyard_server.dev.port import LOOPBACK, free_port
from taskyard_server.dev.process import ProcessSpec
from tests.stores.etcd import crash, restart, running


def ask(server: EtcdServer, path: str, *, token: str = "", **fields: Any) -> dict[str, Any]:
    url = f"http://{server.url}/v3/{path}"
    headers = {"Authorization": token} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(fields).encode(), headers)) as reply:
        answer: dict[str, Any] = json.loads(reply.read())
    return answer


@pytest.fixture
def locked(own_server: EtcdServer) -> EtcdServer:
    """A server that asks who one is; only root, whose password is `hush`, may do anything."""
    ask(own_server, "auth/user/add", name="guest", password="hush")
    require(own_server)
    return own_server


def client(server: EtcdServer, username: str | None, password: str | None) -> Etcd:
    return Etcd(EtcdSettings(endpoints=(server.url,), username=username, password=password))


async def test_a_user_logs_in_and_again_after_a_restart_has_forgotten_the_token(locked: EtcdServer) -> None:
    async with client(locked, "root", "hush") as etcd, etcd.renewal() as renewal:
        lease = await renewal.grant(10)
        async with aclosing(etcd.watch(etcd.keys.sessions)) as watch:
            await anext(watch)
            await crash(locked)
            await restart(locked)
            async with asyncio.timeout(10.0):
                await etcd.kv.put(etcd.keys.session("x"), b"", lease=lease.id, repeatable=True)
                assert len((await anext(watch)).changes) == 1
            confirmed = lease.confirmed_until
            await asyncio.wait({asyncio.ensure_future(lease.lost.wait())}, timeout=5.0)
            assert lease.confirmed_until > confirmed


def require(server: EtcdServer) -> None:
    """From now on the server asks who one is; root, whose password is `hush`, may do anything."""
    for path, fields in (
        ("auth/user/add", {"name": "root", "password": "hush"}),
        ("auth/role/add", {"name": "root"}),
        ("auth/user/grant", {"user": "root", "role": "root"}),
        ("auth/enable", {}),
    ):
        ask(server, path, **fields)


async def test_a_user_may_be_told_before_etcd_asks_for_one_and_after_it_asks_no_more(own_server: EtcdServer) -> None:
    async with client(own_server, "root", "hush") as etcd, etcd.renewal() as renewal, asyncio.timeout(20.0):
        lease = await renewal.grant(5)
        await etcd.ping()
        require(own_server)
        await etcd.kv.put(etcd.keys.session("x"), b"", lease=lease.id, repeatable=True)
        await etcd.ping()
        await etcd.kv.delete(etcd.keys.session("x"))
        token = ask(own_server, "auth/authenticate", name="root", password="hush")["token"]
        ask(own_server, "auth/disable", token=token)
        await etcd.ping()
        assert not lease.lost.is_set()


async def test_a_token_of_an_etcd_that_had_come_further_is_given_up(locked: EtcdServer) -> None:
    """One that was replaced waits with it until it has come as far: for ever, if nobody can write."""
    async with client(locked, "root", "hush") as writer:
        for _ in range(50):
            await writer.kv.put("/x", b"")
    async with client(locked, "root", "hush") as etcd, asyncio.timeout(20.0):
        await etcd.kv.get("/x")
        await crash(locked)
        shutil.rmtree(locked.directory)
        await restart(locked)
        require(locked)
        calls = [etcd.kv.get(f"/{number}") for number in range(5)]
        began = time.monotonic()
        assert await asyncio.gather(*calls) == [None] * 5
        assert time.monotonic() - began < 2 * etcd.access.patience


@pytest.mark.parametrize(("username", "password"), [(None, None), ("guest", "hush"), ("root", "wrong")])
async def test_who_may_not_is_told_so(locked: EtcdServer, username: str | None, password: str | None) -> None:
    async with client(locked, username, password) as etcd, asyncio.timeout(5.0):
        with pytest.raises(EtcdRejected):
            await etcd.kv.put("/x", b"")


class SecureServer(EtcdServer):
    """Listens with TLS too, and then only to those who show a certificate."""

    def __init__(self, directory: Path, certificates: Path) -> None:
        super().__init__(directory)
        self._certificates = certificates
        self.secure_port = free_port()

    def _spec(self) -> ProcessSpec:
        spec, secure = super()._spec(), f"https://{LOOPBACK}:{self.secure_port}"
        flags = (
            f"--listen-client-urls=http://{self.url},{secure}",
            f"--cert-file={self._certificates / 'cert.pem'}",
            f"--key-file={self._certificates / 'key.pem'}",
            f"--trusted-ca-file={self._certificates / 'cert.pem'}",
            "--client-cert-auth",
        )
        return dataclasses.replace(spec, argv=(*spec.argv, *flags))


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A key and a certificate that is its own authority."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl to make certificates")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    names = ["-subj", "/CN=taskyard", "-addext", f"subjectAltName=IP:{LOOPBACK}"]
    files = ["-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "cert.pem")]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    return tmp_path


@pytest_asyncio.fixture(loop_scope="session")
async def secure_server(tmp_path: Path, certificates: Path) -> AsyncIterator[SecureServer]:
    server = SecureServer(tmp_path / "etcd", certificates)
    async with running(server):
        yield server


async def test_tls_with_a_client_certificate(secure_server: SecureServer, certificates: Path) -> None:
    known = EtcdSettings(
        endpoints=(f"https://{LOOPBACK}:{secure_server.secure_port}",),
        ca_file=certificates / "cert.pem",
        cert_file=certificates / "cert.pem",
        key_file=certificates / "key.pem",
    )
    async with Etcd(known) as etcd:
        assert await etcd.kv.put("/x", b"") > 0
    stranger = dataclasses.replace(known, cert_file=None, key_file=None, request_timeout=0.5, attempts=1)
    async with Etcd(stranger) as etcd:
        with pytest.raises(EtcdUnavailable):
            await etcd.kv.put("/x", b"")
