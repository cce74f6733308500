"""Certificates for tests: nobody else would trust them."""

import subprocess
from pathlib import Path
from typing import NamedTuple


class Certificate(NamedTuple):
    """PEM files."""

    certificate: Path
    key: Path


def self_signed(directory: Path, address: str) -> Certificate:
    """One for an address, that is its own authority."""
    made = Certificate(directory / "tls.crt", directory / "tls.key")
    subject = ("-subj", "/CN=taskyard-test", "-addext", f"subjectAltName=IP:{address}")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(made.key))
    subprocess.run(
        ["openssl", "req", "-x509", "-days", "1", *subject, *key, "-out", str(made.certificate)],
        check=True,
        capture_output=True,
    )
    return made
