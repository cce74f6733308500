"""Stores that are there and say no."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from chaos.backends.cluster import Capability, Role
from chaos.faults.fault import Blow, Fault, Hit, Injection, Scene
from chaos.faults.outages import answers

FAMILY = "refusals"
POSTGRES = "postgres-leader"
REDIS = "redis-leader"
REFUSES = frozenset({Capability.REFUSE})
MEMBERS = frozenset({Capability.ETCD_MEMBERS})
SECONDS = (2.0, 12.0)

READ_ONLY = (
    "ALTER SYSTEM SET default_transaction_read_only = on",
    "SELECT pg_reload_conf()",
)
WRITABLE = (
    "ALTER SYSTEM RESET default_transaction_read_only",
    "SELECT pg_reload_conf()",
)
NO_LOGIN = (
    "ALTER ROLE {role} NOLOGIN",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'",
)
LOGIN = ("ALTER ROLE {role} LOGIN",)
NO_RIGHT = ("REVOKE UPDATE ON taskyard.task FROM {role}",)
RIGHT = ("GRANT UPDATE ON taskyard.task TO {role}",)


def refuses(no: Sequence[str], yes: Sequence[str]) -> Injection:
    """Postgres gets some statements, and others once the fault is over."""

    @asynccontextmanager
    async def inject(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
        primary = await scene.aimed(blow.target, blow.draw)
        try:
            await _execute(scene, no)
            yield Hit((primary,))
        finally:
            await answers(scene)
            await _execute(scene, yes)

    return inject


async def _execute(scene: Scene, statements: Sequence[str]) -> None:
    for statement in statements:
        await scene.cluster.postgres_execute(statement.format(role=scene.cluster.postgres_role))


@asynccontextmanager
async def forbids_scripts(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """Redis answers NOPERM to every script."""
    primary = await scene.aimed(blow.target, blow.draw)
    await scene.cluster.redis_command("ACL", "SETUSER", "default", "-@scripting")
    try:
        yield Hit((primary,))
    finally:
        await scene.cluster.redis_command("ACL", "SETUSER", "default", "+@scripting")


@asynccontextmanager
async def occupies_key(scene: Scene, blow: Blow) -> AsyncIterator[Hit]:
    """Somebody else writes a key of ours: WRONGTYPE until it is deleted."""
    primary = await scene.aimed(blow.target, blow.draw)
    await scene.cluster.redis_command("SET", "taskyard:lanes", "not a set")
    try:
        yield Hit((primary,), "taskyard:lanes")
    finally:
        await scene.cluster.redis_command("DEL", "taskyard:lanes")


@asynccontextmanager
async def fills_etcd(scene: Scene, _: Blow) -> AsyncIterator[Hit]:
    """etcd takes no more writes: NOSPACE, as if its quota were used up."""
    await scene.cluster.etcd_full(True)
    try:
        yield Hit(tuple(part.name for part in scene.cluster.parts(Role.ETCD)))
    finally:
        await scene.cluster.etcd_full(False)


@asynccontextmanager
async def replaces_etcd(scene: Scene, _: Blow) -> AsyncIterator[Hit]:
    """All members are killed and start as a new cluster: revisions begin again at 1."""
    await scene.cluster.etcd_replace()
    yield Hit(tuple(part.name for part in scene.cluster.parts(Role.ETCD)))


def faults() -> list[Fault]:
    """This family."""
    postgres, redis, etcd = (frozenset({store}) for store in ("postgres", "redis", "etcd"))
    return [
        Fault(
            "postgres-read-only",
            FAMILY,
            "Postgres takes no writes (default_transaction_read_only)",
            (POSTGRES,),
            refuses(READ_ONLY, WRITABLE),
            SECONDS,
            REFUSES,
            postgres,
            recovery=15.0,
        ),
        Fault(
            "postgres-no-login",
            FAMILY,
            "the servers' role may not log in (28000)",
            (POSTGRES,),
            refuses(NO_LOGIN, LOGIN),
            SECONDS,
            REFUSES,
            postgres,
            recovery=15.0,
        ),
        Fault(
            "postgres-no-right",
            FAMILY,
            "the servers' role may not update tasks (42501)",
            (POSTGRES,),
            refuses(NO_RIGHT, RIGHT),
            SECONDS,
            REFUSES,
            postgres,
            recovery=15.0,
        ),
        Fault("redis-no-right", FAMILY, "NOPERM to scripts", (REDIS,), forbids_scripts, SECONDS, REFUSES, redis, 15.0),
        Fault(
            "redis-wrong-type",
            FAMILY,
            "a key of ours is another's",
            (REDIS,),
            occupies_key,
            SECONDS,
            REFUSES,
            redis,
            recovery=40.0,
        ),
        Fault(
            "etcd-full",
            FAMILY,
            "etcd takes no more writes (NOSPACE)",
            ("etcd",),
            fills_etcd,
            (5.0, 30.0),
            REFUSES | MEMBERS,
            etcd,
            recovery=15.0,
        ),
        Fault(
            "etcd-replaced",
            FAMILY,
            "etcd's members come back as a new, empty cluster",
            ("etcd",),
            replaces_etcd,
            needs=REFUSES | MEMBERS,
            strains=etcd,
            recovery=20.0,
        ),
    ]
