"""Addresses as people write them."""

from collections.abc import Iterable

from taskyard.errors import FieldViolation, InvalidArgument


def parse_addresses(text: str | Iterable[str], *, port: int, field: str) -> tuple[str, ...]:
    """`host:port` for each address, given one by one or separated by commas; a port left out is `port`.

    Raises InvalidArgument naming `field`.
    """
    parts = text.split(",") if isinstance(text, str) else text
    try:
        addresses = tuple(_with_port(part.strip(), port, field) for part in parts if part.strip())
    except (TypeError, AttributeError):
        raise _invalid(field, f"must be text, got {text!r}") from None
    if not addresses:
        raise _invalid(field, "is empty")
    return addresses


def _with_port(address: str, port: int, field: str) -> str:
    host, colon, own = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, own = address, str(port)
    literal = host.startswith("[") and host.endswith("]")
    bare_ipv6 = ":" in host and not literal
    known = own.isascii() and own.isdecimal() and 0 < int(own) < 65536
    if not host.strip("[]") or bare_ipv6 or not known or not host.isprintable() or " " in host or "/" in host:
        raise _invalid(field, f"{address!r} is not host:port (IPv6 as [host]:port)")
    return f"{host}:{own}"


def _invalid(field: str, description: str) -> InvalidArgument:
    return InvalidArgument(violations=[FieldViolation(field, description)])
