"""What can happen to the keys under a prefix, and what two listings say happened between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taskyard_core.storage.etcd.access import KeyValue


@dataclass(frozen=True, slots=True)
class Put:
    """A key was created or written."""

    item: KeyValue

    @property
    def key(self) -> str:
        """The key that was written."""
        return self.item.key


@dataclass(frozen=True, slots=True)
class Delete:
    """A key was deleted, expired with its lease, or found gone; `previous` is its last state."""

    key: str
    previous: KeyValue


Change = Put | Delete


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes that took the prefix to its state at `revision`.

    `listed` says that they come from a listing: steps in between may be missing.
    """

    revision: int
    changes: tuple[Change, ...]
    listed: bool = False


def difference(old: Mapping[str, KeyValue], new: Mapping[str, KeyValue]) -> tuple[Change, ...]:
    """Return the changes that turn `old` into `new`, deletions first.

    Revisions are only compared for equality: they may go back when etcd is restored from a backup.
    """
    deleted = [Delete(key, item) for key, item in old.items() if key not in new]
    written = [
        Put(item)
        for key, item in new.items()
        if key not in old or old[key].mod_revision != item.mod_revision or old[key] != item
    ]
    return (*deleted, *written)
