"""A history kept on disk, so that it can be checked again with better checks."""

import dataclasses
import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from chaos.history import journal
from chaos.history.events import Placement, SessionChange, Size, TermRaised, Transition
from chaos.history.record import Facts, History

AUDIT = "audit.jsonl.gz"
FACTS = "facts.json"
_KINDS = {kind.__name__: kind for kind in (Transition, SessionChange, TermRaised, Size)}


def save(history: History, directory: Path, origin: float) -> None:
    """Keeps what is not in journals, which are files already."""
    document = {"origin": origin, "facts": dataclasses.asdict(history.facts)}
    (directory / FACTS).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    with gzip.open(directory / AUDIT, "wb", compresslevel=1) as file:
        for events in (history.transitions, history.sessions, history.terms, history.sizes):
            file.writelines(_lines(events))


def restore(directory: Path) -> History:
    """The history of a run whose files are in a directory. Raises FileNotFoundError for what is not one."""
    document = orjson.loads((directory / FACTS).read_bytes())
    history = History(facts=Facts(**document["facts"]))
    journal.load(history, directory, document["origin"])
    with gzip.open(directory / AUDIT, "rb") as file:
        for line in file:
            _add(history, *orjson.loads(line))
    return history


def _lines(events: Iterable[Any]) -> Iterator[bytes]:
    for event in events:
        yield orjson.dumps([type(event).__name__, *event], default=list, option=orjson.OPT_APPEND_NEWLINE)


def _add(history: History, kind: str, *fields: Any) -> None:
    event = _KINDS[kind](*fields)
    match event:
        case Transition():
            placement = event.placement
            history.transitions.append(event._replace(placement=Placement(*placement) if placement else None))
        case SessionChange():
            history.sessions.append(event._replace(types=tuple(event.types), queues=tuple(event.queues)))
        case TermRaised():
            history.terms.append(event)
        case Size():
            history.sizes.append(event)
