"""The small JSON documents inside task rows."""

from dataclasses import asdict
from functools import lru_cache

import orjson

from scheduler.domain import retry
from scheduler.domain.task import RetryPolicy, TaskError


def dump_retry(policy: RetryPolicy) -> str:
    """The fields that were given, as JSON."""
    return orjson.dumps({k: v for k, v in asdict(policy).items() if v is not None}).decode()


@lru_cache(maxsize=4096)
def load_retry(text: str | None) -> RetryPolicy | None:
    """The policy of such a document."""
    return RetryPolicy(**orjson.loads(text)) if text else None


def dump_error(error: TaskError | None) -> str | None:
    """The error as JSON; what Postgres cannot hold as text is replaced."""
    if error is None:
        return None
    return orjson.dumps(asdict(error)).decode().replace("\\u0000", "\\ufffd")


def load_error(text: str | None) -> TaskError | None:
    """The error of such a document."""
    return TaskError(**orjson.loads(text)) if text else None


@lru_cache(maxsize=4096)
def merged_retry(text: str | None, queue: RetryPolicy | None) -> RetryPolicy:
    """What a task's own document, its queue and the defaults add up to."""
    return retry.effective(load_retry(text), queue)
