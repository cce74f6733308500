"""Which Postgres a URL means: one reading for the servers' driver and for that of migrations."""

from collections.abc import Mapping
from dataclasses import dataclass
from ssl import get_default_verify_paths
from typing import Any
from urllib.parse import urlencode

from taskyard_core.storage.urls import StoreUrl

_PORT = 5432
_SAME = (
    *("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl"),
    *("ssl_min_protocol_version", "ssl_max_protocol_version"),
)
"""What both drivers take in a URL, and know by the same name."""
TAKEN = frozenset(
    {*_SAME, "host", "port", "user", "password", "dbname", "passfile", "target_session_attrs", "application_name"}
    | {"connect_timeout", "options"}
)
"""Parameters of a URL."""
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SESSIONS = ("any", "read-write", "primary")


@dataclass(frozen=True, slots=True)
class Target:
    """Hosts, a user and a database. The first host that takes writes is used, whichever that is by then."""

    url: StoreUrl
    connect_timeout: float = 5.0
    """Seconds for each host."""

    @classmethod
    def parse(cls, url: str) -> "Target":
        """Raises ValueError, which shows no part of a password."""
        parsed = StoreUrl.parse(url)
        if parsed.scheme not in ("postgresql", "postgres"):
            raise ValueError("must begin with postgresql://")
        unknown = sorted(parsed.parameters.keys() - TAKEN)
        if unknown:
            raise ValueError(
                f"has the parameter {unknown[0]!r}, which is not taken: settings of the server go into "
                f"options=-c%20name%3Dvalue, and otherwise there are {', '.join(sorted(TAKEN))}"
            )
        if parsed.parameters.get("sslmode", "prefer") not in _SSL_MODES:
            raise ValueError(f"has an sslmode that is none of {', '.join(_SSL_MODES)}")
        if parsed.parameters.get("target_session_attrs", "any") not in _SESSIONS:
            raise ValueError(f"has a target_session_attrs that is none of {', '.join(_SESSIONS)}")
        target = cls(parsed, _seconds(parsed.parameters.get("connect_timeout")))
        _ = target.hosts, target._ssl
        return target

    def for_servers(self) -> dict[str, Any]:
        """Arguments of asyncpg.connect for each of `hosts`."""
        given, url = self.url.parameters, self.url
        arguments = {
            "dsn": self._ssl_only(),
            "user": given.get("user", url.user),
            "password": given.get("password", url.password),
            "database": given.get("dbname", url.path) or None,
            "passfile": given.get("passfile"),
            "timeout": self.connect_timeout,
            "target_session_attrs": given.get("target_session_attrs", "read-write"),
        }
        return {name: value for name, value in arguments.items() if value is not None}

    @property
    def server_settings(self) -> Mapping[str, str]:
        """What the URL asks of the server's side of a session."""
        options = self.url.parameters.get("options")
        return {"options": options} if options else {}

    def for_migrations(self) -> dict[str, Any]:
        """Arguments of psycopg.connect."""
        given, url = self.url.parameters, self.url
        hosts = self.hosts
        arguments: dict[str, Any] = {
            **self._ssl,
            **{name: given[name] for name in ("passfile", "application_name", "options") if name in given},
            "host": ",".join(host for host, _ in hosts) or None,
            "port": ",".join(str(port) for _, port in hosts) or None,
            "user": given.get("user", url.user),
            "password": given.get("password", url.password),
            "dbname": given.get("dbname", url.path) or None,
            "connect_timeout": max(2, round(self.connect_timeout)),
            "target_session_attrs": given.get("target_session_attrs", "read-write"),
        }
        return {name: value for name, value in arguments.items() if value is not None}

    @property
    def hosts(self) -> list[tuple[str, int]]:
        """What the parameters `host` and `port` say, else what stands before the path; none: the drivers' default."""
        given = self.url.parameters
        if "host" in given:
            hosts: list[tuple[str, int | None]] = [(host, None) for host in given["host"].split(",")]
        else:
            hosts = list(self.url.hosts)
        ports = [_port(text) for text in given["port"].split(",")] if "port" in given else [_PORT]
        if len(ports) not in (1, len(hosts)):
            raise ValueError(f"has {len(hosts)} hosts and {len(ports)} ports")
        ports *= len(hosts) if len(ports) == 1 else 1
        return [(host, own or port) for (host, own), port in zip(hosts, ports, strict=True)]

    @property
    def _ssl(self) -> dict[str, str]:
        """What concerns TLS. The system's certificates are a file, since one driver knows them by no other name."""
        ssl = {name: self.url.parameters[name] for name in _SAME if name in self.url.parameters}
        if ssl.get("sslrootcert") == "system":
            if ssl.setdefault("sslmode", "verify-full") != "verify-full":
                raise ValueError("has sslrootcert=system and not verify-full: anybody has such a certificate")
            if (file := get_default_verify_paths().cafile) is None:
                raise ValueError("has sslrootcert=system, and this machine has no such file: name another")
            ssl["sslrootcert"] = file
        return ssl

    def _ssl_only(self) -> str | None:
        """asyncpg takes files and versions of TLS only by a URL; in this one they are alone."""
        ssl = self._ssl
        return f"postgresql://?{urlencode(ssl)}" if ssl else None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 65536):
        raise ValueError("has a parameter port that is none")
    return int(text)


def _seconds(text: str | None) -> float:
    if text is None:
        return 5.0
    if not (text.isascii() and text.isdigit()):
        raise ValueError("has a connect_timeout that is no number of seconds")
    # As libpq has it: 0 waits for ever, which nobody here may.
    return max(2.0, float(text)) if int(text) else 30.0
