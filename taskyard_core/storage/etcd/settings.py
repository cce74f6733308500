"""Where etcd is and how to talk to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdSettings:
    """Connection settings; times in seconds.

    `endpoints` are `host:port`, optionally with `http://` or `https://`. TLS is used when an
    endpoint says https or when `ca_file` is given; `cert_file` and `key_file` add a client
    certificate.
    """

    endpoints: tuple[str, ...] = ("127.0.0.1:2379",)
    prefix: str = "/taskyard"
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    request_timeout: float = 2.0
    """Deadline of each attempt of each call."""
    attempts: int = 4
    """How often a call that is safe to repeat is tried in all."""
    ping_interval: float = 6.0
    """HTTP/2 keepalive; etcd drops clients that ping more often than every 5 s."""
    ping_timeout: float = 3.0

    def __post_init__(self) -> None:
        if not self.endpoints:
            raise ValueError("etcd needs at least one endpoint")
        for endpoint in self.endpoints:
            _check(endpoint)
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("an etcd client certificate needs both etcd_cert_file and etcd_key_file")
        if (self.username is None) != (self.password is None):
            raise ValueError("etcd authentication needs both etcd_user and etcd_password")
        if self.request_timeout <= 0 or self.attempts < 1:
            raise ValueError("request_timeout must be above 0 and attempts at least 1")


def _check(endpoint: str) -> None:
    """Raises ValueError, without what may be a password."""
    if "@" in endpoint:
        raise ValueError("an etcd endpoint has no user or password in it: they are etcd_user and etcd_password")
    scheme, separator, rest = endpoint.rpartition("://")
    if separator and scheme not in ("http", "https"):
        raise ValueError("an etcd endpoint is host:port, with http:// or https:// in front or nothing")
    host, _, port = rest.rstrip("/").rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or (":" in host and not host.startswith("[")):
        raise ValueError("an etcd endpoint is host:port, with brackets around an IPv6 address: [::1]:2379")
