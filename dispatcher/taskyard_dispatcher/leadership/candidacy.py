"""One candidate for leadership: where it stands among those who are seen."""

from collections.abc import Mapping
from enum import Enum

from taskyard_core.storage.etcd import KeyValue
from taskyard_core.storage.etcd.records import first


class Candidacy(Enum):
    """Where it stands."""

    UNKNOWN = "the candidates seen are older than this candidacy"
    WAITING = "another candidate came first"
    LEADING = "first of all candidates"
    GONE = "the candidate's key is gone"


def standing(candidates: Mapping[str, KeyValue], revision: int, key: str, term: int) -> Candidacy:
    """Return where the candidacy `key`, created at revision `term`, stands among those at `revision`.

    A key that was created later can never come first, so what was LEADING at one revision leads
    until its key is gone.
    """
    if revision < term:
        return Candidacy.UNKNOWN
    own = candidates.get(key)
    if own is None or own.create_revision != term:
        return Candidacy.GONE
    return Candidacy.LEADING if first(candidates.values()) == own else Candidacy.WAITING
