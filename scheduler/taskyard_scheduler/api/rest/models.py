"""The JSON documents of requests: what may be in them. Unknown fields and other types are refused.

A field that is null counts as left out.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from taskyard_core.domain import limits, submission
from taskyard_core.domain import task as domain
from taskyard_core.domain.violations import Violation
from taskyard_core.storage.tasks import TaskFilter as StoredFilter
from taskyard_scheduler.api import filters
from taskyard_scheduler.api.rest.documents import RawJson
from taskyard_scheduler.api.rest.values import Duration, Moment, SizeParameter


class Document(BaseModel):
    """What all documents of requests have in common."""

    model_config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)


class RetryPolicy(Document):
    """How failures are retried. A field left out takes the queue's default."""

    max_attempts: int | None = Field(
        None, description="Attempts in all that may fail before the task is FAILED, 1 to 1000.", examples=[3]
    )
    initial_backoff: Duration | None = Field(None, description="The wait before the first retry, at most 24 h.")
    multiplier: float | None = Field(None, description="Each wait is this many times the one before, 1 to 100.")
    max_backoff: Duration | None = Field(None, description="The longest wait, at most 7 days.")
    jitter: float | None = Field(None, description="The share of a wait that is drawn at random, 0 to 1.")

    def to_domain(self) -> domain.RetryPolicy:
        """The policy, unchecked."""
        return domain.RetryPolicy(
            self.max_attempts, self.initial_backoff, self.multiplier, self.max_backoff, self.jitter
        )


class TaskSpec(Document):
    """What a client hands over."""

    namespace: str | None = Field(None, description='Default "default".')
    queue: str | None = Field(None, description='Default "default". Letters, digits, ".", "_" and "-", at most 63.')
    type: str | None = Field(None, description="Names the handler; required.", examples=["email.send"])
    payload: Any = Field(
        None,
        description="Any JSON of at most 256 KiB and 64 levels. It is kept as it was sent; numbers must be finite as "
        "64-bit floats.",
        examples=[{"to": "ada@example.com"}],
    )
    priority: int | None = Field(None, description="0 (lowest) to 10 (highest), default 5.")
    selector: str | None = Field(
        None, description="Which workers may run it.", examples=["io=ssd,region in (eu,us),memory_gb>=16"]
    )
    idempotency_key: str | None = Field(
        None, description="Submitting again with the same key and the same task answers with the first one."
    )
    run_at: Moment | None = Field(None, description="When it may start; not together with delay.")
    delay: Duration | None = Field(None, description="After how long it may start.")
    expires_at: Moment | None = Field(None, description="Not started by then, the task is EXPIRED.")
    timeout: Duration | None = Field(None, description="How long one attempt may run.")
    retry: RetryPolicy | None = None
    depends_on: list[str] | None = Field(None, description="Not supported yet: must be empty.")
    traceparent: str | None = Field(None, description="W3C trace context of the submitter.")

    def to_domain(self, check_json: submission.JsonCheck) -> domain.TaskSpec:
        """The validated submission; raises Violation naming the field."""
        if self.depends_on:
            raise Violation("depends_on", "is not supported yet")
        return submission.build(
            type=self.type or "",
            payload=self.payload.document if isinstance(self.payload, RawJson) else b"",
            check_json=check_json,
            namespace=self.namespace or "",
            queue=self.queue or "",
            priority=self.priority,
            selector=self.selector or "",
            idempotency_key=given_key("idempotency_key", self.idempotency_key),
            run_at=self.run_at,
            delay=self.delay,
            expires_at=self.expires_at,
            timeout=self.timeout,
            retry=self.retry.to_domain() if self.retry else None,
            traceparent=self.traceparent or "",
        )


class Batch(Document):
    """Tasks to submit; each has its own outcome."""

    tasks: list[Any] = Field(description="Up to 1,000 tasks or 4 MiB.", json_schema_extra={"items": {}})
    ids_only: bool | None = Field(None, description="Answer with id and state alone of each task.")


class TaskFilter(Document):
    """Which tasks are meant: all given fields must match."""

    namespace: str | None = None
    queue: str | None = None
    type: str | None = None
    state: str | None = Field(default=None, description="One of the states.", examples=["FAILED"])
    error_type: str | None = Field(default=None, description="Matches error.type.")

    def to_domain(self) -> StoredFilter:
        """The checked filter; raises Violation."""
        return filters.task_filter(
            namespace=self.namespace or "",
            queue=self.queue or "",
            type=self.type or "",
            state=state(self.state) if self.state else None,
            error_type=self.error_type or "",
        )


class DeadLetters(Document):
    """Which FAILED tasks to redrive or purge."""

    filter: TaskFilter | None = None
    limit: int | None = Field(
        None, description=f"1 to {limits.BULK_LIMIT_MAX}, default {limits.BULK_LIMIT_DEFAULT}; the oldest go first."
    )
    dry_run: bool | None = Field(None, description="Count only.")


class QueueSettings(Document):
    """What to set of a queue; a field left out stays."""

    retry: RetryPolicy | None = Field(None, description="What tasks take where they leave retry fields out.")
    max_backlog: int | None = Field(
        None, description="Submits are refused while this many tasks wait; 0 means the cluster's limit."
    )


class Query(BaseModel):
    """What all query strings have in common. An empty parameter counts as left out."""

    model_config = ConfigDict(extra="forbid")


class PageQuery(Query):
    """Parameters of a list that comes in pages."""

    page_size: SizeParameter = Field(
        default_factory=int, description=f"1 to {limits.PAGE_SIZE_MAX}, default {limits.PAGE_SIZE_DEFAULT}."
    )
    page_token: str = Field("", description="next_page_token of the page before.")


class NamespaceQuery(PageQuery):
    """Parameters of a list by namespace."""

    namespace: str = Field("", description="All namespaces when empty.")
    page_size: SizeParameter = Field(
        default_factory=int, description=f"1 to {limits.PAGE_SIZE_MAX}, which is the default."
    )


class QueueQuery(Query):
    """Parameters of changing a queue."""

    namespace: str = Field("default", description="The queue's namespace.")


class BacklogQuery(Query):
    """Parameters of asking for the backlog of workers that are alike."""

    namespace: str = Field("default", description="The workers' namespace.")
    labels: str = Field("", description="All labels that they have.", examples=["io=ssd,zone=a"])
    queue: list[str] = Field([], description="A queue that they serve; may be repeated. All when left out.")
    type: list[str] = Field([], description="A type that they have a handler for; may be repeated. All when left out.")


class ListQuery(PageQuery, TaskFilter):
    """Parameters of a list of tasks."""

    model_config = ConfigDict(extra="forbid", strict=False)


class GetQuery(Query):
    """Parameters of reading a task."""

    wait: str = Field(
        "", description="Answer when the task is terminal or after this long, at most 60s.", examples=["30s"]
    )


def given_key(field: str, value: str | None) -> str:
    """The idempotency key, empty where none is meant. One that is given is not empty: that is a client's slip, whose
    task would run twice. Raises Violation on `field`."""
    if value == "":
        raise Violation(field, "must not be empty; leave it out for none")
    return value or ""


def state(word: str) -> domain.TaskState:
    """The state of its name; raises Violation."""
    try:
        return domain.TaskState(word)
    except ValueError as error:
        raise Violation("state", f"must be one of {', '.join(domain.TaskState)}") from error
