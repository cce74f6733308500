"""What etcd is told of a session's worker."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, takewhile
from typing import Any

import orjson

from taskyard_core.domain import limits
from taskyard_core.storage.sessions import SessionRecord

_COLLECTION_BYTES = 1024
_TEXT_BYTES = 128


def profile(record: SessionRecord) -> bytes:
    """Its name, labels and the like as JSON of at most SESSION_PROFILE_BYTES; Postgres has all of it.

    One that would be longer lacks some: `shortened` then says how many there are of each.
    """
    texts = {
        "worker": record.worker,
        "namespace": record.namespace,
        "pod": record.pod,
        "sdk": record.sdk,
        "version": record.version,
    }
    lists: dict[str, Sequence[str]] = {"types": record.types, "queues": record.queues}
    labels = dict(sorted(record.labels.items()))
    whole = orjson.dumps({**texts, "slots": record.slots, "labels": labels, **lists})
    if len(whole) <= limits.SESSION_PROFILE_BYTES:
        return whole
    short: dict[str, Any] = {name: _shortened_text(text) for name, text in texts.items()}
    short |= {"slots": record.slots, "labels": _shortened_map(labels)}
    short |= {name: _shortened_list(values) for name, values in lists.items()}
    counts = {"labels": len(labels), **{name: len(values) for name, values in lists.items()}}
    return orjson.dumps({**short, "shortened": counts})


def _shortened_text(text: str) -> str:
    return text[: _fitting(text, _TEXT_BYTES - 2)]


def _shortened_list(values: Sequence[str]) -> list[str]:
    return list(values[: _fitting(values, _COLLECTION_BYTES)])


def _shortened_map(values: Mapping[str, str]) -> dict[str, str]:
    items = list(values.items())
    return dict(items[: _fitting(items, _COLLECTION_BYTES)])


def _fitting(parts: Sequence[Any], room: int) -> int:
    """How many of the parts fit, with what JSON puts around them."""
    return sum(1 for _ in takewhile(lambda size: size <= room, accumulate(_sizes(parts))))


def _sizes(parts: Sequence[Any]) -> Iterator[int]:
    return (len(orjson.dumps(part)) for part in parts)
