"""Whether sizes are back to where they were before the load."""

from collections.abc import Iterator

from chaos.backends.cluster import Sizes
from chaos.history.events import Size
from chaos.result import RestCheck

MEGABYTE = 1024 * 1024
MEMORY_FACTOR, MEMORY_SLACK = 1.5, 64 * MEGABYTE
STORE_MEMORY_SLACK = 512 * MEGABYTE
"""Postgres counts its shared buffers, etcd its pages: both grow until they are as large as configured."""
DESCRIPTORS_SLACK = 40
CONNECTIONS_FACTOR, CONNECTIONS_SLACK = 1.5, 10
STORES = ("postgres", "redis", "etcd")
# Tables of what is under way; the others hold what is kept for its time.
EMPTY_TABLES = ("outbox",)


def rest_checks(before: Sizes, after: Sizes, *, forgets: bool) -> list[RestCheck]:
    """Every size that has to be back; `forgets` tells that tasks which ended must have been deleted by now."""
    return [
        *_memory(before, after),
        *_descriptors(before, after),
        _check(
            "Postgres connections",
            "connections",
            before.postgres_connections,
            after.postgres_connections,
            before.postgres_connections * CONNECTIONS_FACTOR + CONNECTIONS_SLACK,
        ),
        *_rows(before, after, forgets),
        *_streams(before, after),
    ]


def as_sizes(checks: list[RestCheck]) -> list[Size]:
    """The same in the vocabulary of histories."""
    return [Size(check.name, check.start, check.end, check.allowed) for check in checks]


def _memory(before: Sizes, after: Sizes) -> Iterator[RestCheck]:
    for part, start in before.memory.items():
        slack = STORE_MEMORY_SLACK if part.startswith(STORES) else MEMORY_SLACK
        end = after.memory.get(part, 0)
        yield _check(f"memory of {part}", "bytes", start, end, start * MEMORY_FACTOR + slack)


def _descriptors(before: Sizes, after: Sizes) -> Iterator[RestCheck]:
    for part, start in before.descriptors.items():
        if not part.startswith(STORES):
            end = after.descriptors.get(part, 0)
            yield _check(f"descriptors of {part}", "descriptors", start, end, start + DESCRIPTORS_SLACK)


def _rows(before: Sizes, after: Sizes, forgets: bool) -> Iterator[RestCheck]:
    for table, start in before.rows.items():
        if table in EMPTY_TABLES or forgets:
            allowed = 0 if table in EMPTY_TABLES else start
            yield _check(f"rows of {table}", "rows", start, after.rows.get(table, 0), allowed)


def _streams(before: Sizes, after: Sizes) -> Iterator[RestCheck]:
    yield _check(
        "entries of all lanes",
        "entries",
        sum(size.length for size in before.streams.values()),
        sum(size.length for size in after.streams.values()),
        0,
    )
    pending = sum(size.pending for size in after.streams.values())
    yield _check("pending entries of all lanes", "entries", 0, pending, 0)
    yield _check("keys of Redis", "keys", before.redis_keys, after.redis_keys, before.redis_keys + len(after.streams))


def _check(name: str, unit: str, start: float, end: float, allowed: float) -> RestCheck:
    return RestCheck(name, unit, start, end, allowed, end <= allowed)
