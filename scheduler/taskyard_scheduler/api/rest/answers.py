"""The JSON documents of answers. Every field is always there; what does not apply is null.

Payloads and results go out as the bytes that came in. Dataclasses whose fields are those of the document are left to
orjson.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import orjson
from fastapi import Response

from taskyard_core.domain.task import RetryPolicy, Task
from taskyard_core.storage.etcd.records import Candidate, DispatcherRecord
from taskyard_core.storage.queues import Queue
from taskyard_core.wire import convert
from taskyard_scheduler.api.cluster import ClusterView
from taskyard_scheduler.api.failures import Failure
from taskyard_scheduler.api.filters import Page
from taskyard_scheduler.api.rest import problems
from taskyard_scheduler.api.rest.values import duration
from taskyard_scheduler.api.submissions import Accepted, AcceptedId

AnyItem = TypeVar("AnyItem")
Json = dict[str, Any]


def response(document: Any, status: int = 200) -> Response:
    """The document as an answer."""
    return Response(orjson.dumps(document, option=orjson.OPT_UTC_Z), status, media_type="application/json")


def page(name: str, found: Page[AnyItem], shown: Callable[[AnyItem], Any] = lambda item: item) -> Response:
    """A page of a list of that name."""
    return response({name: [shown(item) for item in found.items], "next_page_token": found.next_page_token})


def task(value: Task) -> Json:
    """The whole task."""
    return convert.plain(value) | {
        "payload": _document(value.payload),
        "timeout": duration(value.timeout),
        "retry": retry(value.retry),
        "depends_on": [],
        "result": None if value.result is None else _document(value.result),
    }


def _document(document: bytes) -> orjson.Fragment | None:
    """A payload or result as it came; null for one that is not JSON, which would spoil the whole answer."""
    try:
        orjson.loads(document)
    except ValueError:
        return None
    return orjson.Fragment(document)


def retry(value: RetryPolicy) -> Json:
    """How failures are retried; null where the default applies."""
    backoffs = {"initial_backoff": duration(value.initial_backoff), "max_backoff": duration(value.max_backoff)}
    return convert.plain(value) | backoffs


def result(outcome: Accepted | AcceptedId | Failure) -> Json:
    """What became of one task of a batch."""
    if isinstance(outcome, Failure):
        return {"error": problems.item_error(outcome)}
    if isinstance(outcome, AcceptedId):
        return {"task": {"id": outcome.id, "state": outcome.state}, "deduplicated": outcome.deduplicated}
    return {"task": task(outcome.task), "deduplicated": outcome.deduplicated}


def queue(value: Queue) -> Json:
    """A queue with its counts."""
    return convert.plain(value) | {"oldest_age": duration(value.oldest_age), "retry": retry(value.retry)}


def cluster(view: ClusterView) -> Json:
    """Leader and dispatchers."""
    return {
        "version": view.version,
        "leader": None if view.leader is None else _leader(view.leader),
        "dispatchers": [_dispatcher(found, leads=view.leads(found)) for found in view.dispatchers],
    }


def _leader(value: Candidate) -> Json:
    return {"id": value.dispatcher_id, "term": value.term, "pid": value.pid, "pod": value.pod}


def _dispatcher(value: DispatcherRecord, *, leads: bool) -> Json:
    said = convert.plain(value)
    return {"id": said.pop("dispatcher_id"), **said, "leader": leads}
