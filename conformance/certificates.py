"""Certificates for cases about TLS, made by openssl once a run."""

import shutil
import subprocess
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Literal

import grpc

Mode = Literal["server", "named", "mutual", "named-mutual"]
"""`named`: the scheduler's certificate is for `scheduler.test` alone. `mutual`: it asks for one of the client's."""

_NAMES = {"server": "IP:127.0.0.1,DNS:localhost", "named": "DNS:scheduler.test", "client": "DNS:client.test"}


@cache
def made() -> Path:
    """A directory with NAME.pem and NAME-key.pem of ca, other-ca, server, named and client."""
    directory = Path(mkdtemp(prefix="taskyard-kit-tls-"))
    for authority in ("ca", "other-ca"):
        _openssl(directory, authority, f"/CN=taskyard kit {authority}", ["-addext", "keyUsage=critical,keyCertSign"])
    for name, alternatives in _NAMES.items():
        signed = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-addext", f"subjectAltName={alternatives}"]
        _openssl(directory, name, f"/CN={name}", [*signed, "-addext", "basicConstraints=critical,CA:FALSE"])
    return directory


def _openssl(directory: Path, name: str, subject: str, more: list[str]) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"]
    files = ["-keyout", f"{name}-key.pem", "-out", f"{name}.pem"]
    subprocess.run(
        [*command, *files, "-subj", subject, "-days", "2", *more], cwd=directory, check=True, capture_output=True
    )


def lay_out(directory: Path, mode: Mode) -> grpc.ServerCredentials:
    """Copy them into a case's directory, and answer what its schedulers need."""
    shutil.copytree(made(), directory, dirs_exist_ok=True)
    name = "named" if "named" in mode else "server"
    pair = (directory / f"{name}-key.pem").read_bytes(), (directory / f"{name}.pem").read_bytes()
    mutual = "mutual" in mode
    authorities = (directory / "ca.pem").read_bytes() if mutual else None
    return grpc.ssl_server_credentials([pair], authorities, mutual)
