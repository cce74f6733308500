"""Addresses that processes listen on or tell others: `host:port`."""

from dataclasses import dataclass

_EVERY = frozenset({"0.0.0.0", "::", "::0", "0:0:0:0:0:0:0:0"})


@dataclass(frozen=True, slots=True)
class Address:
    """`host` is a name or an address, without brackets."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """`host:port`, `[v6]:port` or `:port`, which means every address of this machine; raises ValueError."""
        host, separator, port = text.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"{text!r} is no host:port; an IPv6 address needs brackets, as in [::1]:8080")
        if not separator or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            raise ValueError(f"{text!r} is no host:port, such as 0.0.0.0:8080, [::1]:8080 or :8080")
        return cls("0.0.0.0" if host in ("", "*") else host, int(port))

    @property
    def everywhere(self) -> bool:
        """Whether it means every address of this machine, in IPv4 and IPv6 alike, however it is spelled."""
        return self.host in _EVERY

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
