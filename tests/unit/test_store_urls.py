"""One reading of a store's URL, whoever connects with it, and no secret in what is said about a bad one."""

import itertools
import traceback
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from asyncpg.connect_utils import _parse_connect_arguments  # type: ignore[attr-defined]
from psycopg.conninfo import make_conninfo
from redis.asyncio.connection import parse_url

from taskyard_core.storage.postgres.target import Target
from taskyard_core.storage.redis.connection import understood

PASSWORDS = ["plain", "a/b", "a#b", "a@b", "a:b", "/", "#", "a/b#c@d:e", "p%2Fq", "%", "ä", " ", "a+b"]


def asyncpg_sees(url: str) -> tuple[list[Any], Any]:
    """The addresses and parameters that the driver makes of it."""
    names = ("dsn", "host", "port", "user", "password", "passfile", "database", "ssl", "service", "servicefile")
    more = ("direct_tls", "server_settings", "krbsrvname", "gsslib", "target_session_attrs", "command_timeout")
    limits = {"statement_cache_size": 100, "max_cached_statement_lifetime": 300, "max_cacheable_statement_size": 15360}
    target = Target.parse(url)
    given = {name: value for name, value in target.for_servers().items() if name != "timeout"}
    addresses: list[Any] = []
    for host, port in target.hosts:
        arguments = {**dict.fromkeys((*names, *more)), **limits, **given, "host": host, "port": port}
        found, parameters, _ = _parse_connect_arguments(**arguments)
        addresses += found
    return addresses, parameters


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_may_hold_what_it_likes(password: str) -> None:
    written = password if password == "p%2Fq" else password.replace("%", "%25")
    meant = password.replace("%2F", "/")
    target = Target.parse(f"postgresql://user:{written}@db:5433/tasks?connect_timeout=7")
    for arguments in (target.for_servers(), target.for_migrations()):
        assert arguments["password"] == meant
        assert arguments["user"] == "user"
    assert parse_url(understood(f"redis://user:{written}@db:6380/2"))["password"] == meant
    assert parse_url(understood(f"rediss://:{written}@db:6380/2?ssl_cert_reqs=none"))["password"] == meant


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("postgresql://h1,h2:5433/db", [("h1", 5432), ("h2", 5433)]),
        ("postgresql://u@[::1]:5433,h2/db", [("::1", 5433), ("h2", 5432)]),
        ("postgresql://u@h1,h2/db?port=6000", [("h1", 6000), ("h2", 6000)]),
        ("postgresql://u@h1,h2/db?port=6000,6001", [("h1", 6000), ("h2", 6001)]),
        ("postgres://u@/db?host=h1,h2&port=6000", [("h1", 6000), ("h2", 6000)]),
        ("postgresql:///db?host=/var/run/postgresql", ["/var/run/postgresql/.s.PGSQL.5432"]),
        ("postgresql://u@%2Fvar%2Frun/db", ["/var/run/.s.PGSQL.5432"]),
    ],
)
def test_both_drivers_go_to_the_same_hosts(url: str, hosts: list[Any]) -> None:
    addresses, parameters = asyncpg_sees(url)
    assert addresses == hosts
    assert parameters.target_session_attrs.value == "read-write"
    migration = Target.parse(url).for_migrations()
    make_conninfo(**migration)
    assert migration["target_session_attrs"] == "read-write"
    places = zip(migration["host"].split(","), migration["port"].split(","), strict=True)
    assert [f"{at}/.s.PGSQL.{port}" if at.startswith("/") else (at, int(port)) for at, port in places] == hosts


def test_parameters_reach_both_drivers() -> None:
    target = Target.parse(
        "postgresql://u@h/db?connect_timeout=9&options=-c%20geqo%3Doff&application_name=me&sslmode=require"
    )
    assert target.for_servers()["timeout"] == 9
    assert target.for_migrations()["connect_timeout"] == 9
    assert target.server_settings == {"options": "-c geqo=off"}
    assert target.for_migrations()["options"] == "-c geqo=off"
    assert target.for_migrations()["sslmode"] == "require"
    _, parameters = asyncpg_sees("postgresql://u@h/db?sslmode=require&connect_timeout=9")
    assert parameters.sslmode.name == "require"
    assert parameters.server_settings is None
    make_conninfo(**target.for_migrations())


SECRET = "s3cr3t"
BAD_POSTGRES = [
    f"host=db password={SECRET}",
    f"mysql://u:{SECRET}@h/db",
    f"postgresql://u:{SECRET}@h:5432x/db",
    f"postgresql://u:a?{SECRET}@h:5432/db",
    f"postgresql://u:{SECRET}",
    f"postgresql://u:{SECRET}@h/db?password2={SECRET}",
    f"postgresql://u:{SECRET}@[::1/db",
    f"postgresql://u:{SECRET}@::1:5432/db",
    f"postgresql://u:{SECRET}@h/db?connect_timeout={SECRET}",
    f"postgresql://u:{SECRET}@h/db?port={SECRET}",
    f"postgresql://u:{SECRET}@h1,h2/db?port=1,2,3",
    f"postgresql://u:{SECRET}@h/db?{SECRET}",
    f"postgresql://u:{SECRET}@h/db?target_session_attrs={SECRET}",
    f"postgresql://u:{SECRET}@h/db?channel_binding=require",
    f"postgresql://u:{SECRET}@h:99999/db",
    f"postgresql://u:{SECRET}@h/db?sslmode={SECRET}",
    f"postgresql://u:{SECRET}@h/db?sslmode=require&sslrootcert=system",
]
BAD_REDIS = [
    f"redis://:{SECRET}",
    f"redis://u:a?{SECRET}@h:6379/0",
    f"http://u:{SECRET}@h",
    f"redis://u:{SECRET}@h1:6379,h2:6379/0",
    f"redis://u:{SECRET}@h/nought",
    f"redis://u:{SECRET}@h/0?timeout={SECRET}",
    f"redis://u:{SECRET}@h/0?nonsense={SECRET}",
    f"redis://u:{SECRET}@h/0?ssl_cert_reqs=none",
    f"rediss://u:{SECRET}@h/0?ssl_cert_reqs={SECRET}",
    f"rediss://u:{SECRET}@h/0?ssl_keyfile_password={SECRET}",
    *(f"redis://u:{SECRET}@h/0?socket_timeout={value}" for value in ("-1", "0", "nan", "inf", "1_0", "+5", "1e300")),
    *(f"redis://u:{SECRET}@h/0?max_connections={value}" for value in ("0", "-1")),
    f"redis://u:{SECRET}@h/0?health_check_interval=-1",
    f"redis://u:{SECRET}@h/0?timeout=-1",
    f"redis://u:{SECRET}@h/\u0665",
    f"unix:///run/redis?password={SECRET}&socket_timeout=-1",
    f"unix:///run/redis?password={SECRET}&ssl_ca_certs=/ca",
    f"{SECRET}@h",
]


@pytest.mark.parametrize(
    ("read", "url"), [*zip(itertools.repeat(Target.parse), BAD_POSTGRES), *zip(itertools.repeat(understood), BAD_REDIS)]
)
def test_what_is_wrong_is_told_without_a_secret(read: Any, url: str) -> None:
    with pytest.raises(ValueError, match=r"^(has|must|is) ") as raised:
        read(url)
    assert SECRET not in "".join(traceback.format_exception(raised.value)).replace(f'"{url}"', "")


@pytest.mark.parametrize("url", ["redis://app@h", "redis://app:@h/2", "rediss://app@h?ssl_password=x&timeout=3"])
def test_a_user_without_a_password_is_a_user(url: str) -> None:
    assert parse_url(understood(url))["username"] == "app"


def test_no_secret_is_in_what_is_shown_of_a_url() -> None:
    assert SECRET not in repr(Target.parse(f"postgresql://u:{SECRET}@h/db?password={SECRET}"))


def test_the_systems_certificates_are_a_file_for_both_drivers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    url = "postgresql://u@h/db?sslrootcert=system"
    with pytest.raises(ValueError, match="no such file"):
        Target.parse(url)
    bundle.write_text("")
    migration = Target.parse(url).for_migrations()
    assert (migration["sslmode"], migration["sslrootcert"]) == ("verify-full", str(bundle))
    servers = Target.parse(url).for_servers()["dsn"]
    assert servers == f"postgresql://?{urlencode({'sslrootcert': str(bundle), 'sslmode': 'verify-full'})}"
