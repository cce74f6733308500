"""Submissions as they come in: from TaskSpec messages to the domain's. On the hot path, once per task."""

import orjson

from taskyard_core.domain import submission
from taskyard_core.domain.task import RetryPolicy, TaskSpec
from taskyard_core.domain.violations import Violation
from taskyard_core.wire import times
from taskyard_core.wire.gen import task_pb2


def spec(message: task_pb2.TaskSpec) -> TaskSpec:
    """The validated submission; raises Violation naming the field."""
    if message.depends_on:
        raise Violation("depends_on", "is not supported yet")
    has = message.HasField
    # Asking a number is cheaper than asking for presence, which matters only where the number is 0.
    priority: int | None = message.priority
    if not priority and not has("priority"):
        priority = None
    return submission.build(
        type=message.type,
        payload=message.payload,
        check_json=orjson.loads,
        namespace=message.namespace,
        queue=message.queue,
        priority=priority,
        selector=message.selector,
        idempotency_key=message.idempotency_key,
        run_at=times.moment("run_at", message.run_at) if has("run_at") else None,
        delay=times.seconds("delay", message.delay) if has("delay") else None,
        expires_at=times.moment("expires_at", message.expires_at) if has("expires_at") else None,
        timeout=times.seconds("timeout", message.timeout) if has("timeout") else None,
        retry=policy(message.retry) if has("retry") else None,
        traceparent=message.traceparent,
    )


def policy(message: task_pb2.RetryPolicy) -> RetryPolicy:
    """The fields that the message has; raises Violation for what is not a duration."""
    has = message.HasField
    return RetryPolicy(
        message.max_attempts if has("max_attempts") else None,
        times.seconds("retry.initial_backoff", message.initial_backoff) if has("initial_backoff") else None,
        message.multiplier if has("multiplier") else None,
        times.seconds("retry.max_backoff", message.max_backoff) if has("max_backoff") else None,
        message.jitter if has("jitter") else None,
    )
