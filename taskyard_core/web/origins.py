"""Which requests a browser may have been tricked into. Programs that are no browsers pass."""

import ipaddress
from collections.abc import Collection, Mapping

_SAFE = ("GET", "HEAD", "OPTIONS")
_LOCAL = ("localhost", "127.0.0.1", "::1")


def is_loopback(address: str) -> bool:
    """Whether a server that listens there is for this machine alone."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return address == "localhost"


def known_host(header: str | None, names: Collection[str]) -> bool:
    """Whether a server for this machine alone is called so: else a page has given its own name our address.

    `names` are what it is called besides; a `*` among them stands for any.
    """
    if header is None or "*" in names:
        # Browsers always send it.
        return True
    return _name(header) in {*_LOCAL, *(name.lower() for name in names)}


def cross_site(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a page of somebody else has sent a request that changes something."""
    if method in _SAFE:
        return False
    if (site := headers.get("sec-fetch-site")) is not None:
        return site not in ("same-origin", "none")
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower()


def _name(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower().removesuffix(".")
