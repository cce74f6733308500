"""A port that another process has."""

import asyncio
import socket
import sys

import pytest

from taskyard_server.dev.port import LOOPBACK

NOBODY = f"{LOOPBACK}:1"
PORTS = {"scheduler": ("rest", "grpc"), "dispatcher": ("session", "http")}


@pytest.mark.parametrize(("role", "taken"), [(role, port) for role, ports in PORTS.items() for port in ports])
async def test_a_process_says_which_address_it_cannot_have(role: str, taken: str) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        addresses = [f"--{name}-address={LOOPBACK}:{port if name == taken else 0}" for name in PORTS[role]]
        stores = (f"--postgres-url=postgresql://x@{NOBODY}/x", f"--redis-url=redis://{NOBODY}/0")
        command = (sys.executable, "-m", "taskyard_server", role, *stores, f"--etcd-endpoints={NOBODY}", *addresses)
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
    assert process.returncode == 1
    (sentence,) = (line for line in said.splitlines() if line.startswith(f"taskyard-server {role} does not start"))
    assert LOOPBACK in sentence
    assert str(port) in sentence
    assert "Traceback" not in said
