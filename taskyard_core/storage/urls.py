"""Reading the URLs of stores, the same way for everybody who connects with them; no error shows a secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True, slots=True)
class StoreUrl:
    """`scheme://user:password@host:port,host:port/path?name=value`, decoded. A port is None where none is given."""

    scheme: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    hosts: tuple[tuple[str, int | None], ...] = ()
    path: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, url: str) -> "StoreUrl":
        """Raises ValueError, which names the mistake and none of the URL's text that may be part of a password.

        A password may hold `/`, `#` and `@` as they are: what is before the last `@` is user and password.
        """
        scheme, separator, rest = url.strip().partition("://")
        if not separator or not scheme.isalpha():
            raise ValueError("is no URL: it must begin with a scheme such as redis:// or postgresql://")
        before, _, query = rest.partition("?")
        credentials, separator, location = before.rpartition("@")
        user, named, password = credentials.partition(":")
        authority, _, path = location.partition("/")
        return cls(
            scheme.lower(),
            unquote(user) if user else None,
            unquote(password) if separator and named else None,
            tuple(_host(part) for part in authority.split(",")) if authority else (),
            unquote(path),
            _parameters(query),
        )


def _host(text: str) -> tuple[str, int | None]:
    """`host`, `host:port`, `[v6]` or `[v6]:port`."""
    if text.startswith("["):
        host, closed, port = text[1:].partition("]")
        if not closed or (port and not port.startswith(":")):
            raise ValueError("has a [ without its ], or something between ] and the port")
        port = port[1:]
    else:
        host, _, port = text.partition(":")
        if ":" in port and not port.replace(":", "").strip("0123456789abcdefABCDEF"):
            raise ValueError("has an IPv6 address without brackets: write [::1]:5432")
    if not port:
        return unquote(host), None
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(
            "has something that is no port after a host; in a password, write %3F for ?, %40 for @ and %25 for %"
        )
    return unquote(host), int(port)


def _parameters(query: str) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=True)) if query else {}
    except ValueError:
        # From None: the library's error has the text in it, which may be the rest of a password with a ? in it.
        raise ValueError("has something after ? that is not name=value&name=value; in a password, write %3F") from None
