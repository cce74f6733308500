"""What a request means, however a language wrote it: the same key may come from SDKs that spell a payload differently.

Documents mean the same if they have the same canonical form: keys sorted and each once, the last one counting; numbers
by their exact value, so that `1`, `1.0` and `1e0` are one number, and no digit of a large integer is lost; text by its
characters, whatever was escaped. `taskyard.canonical_json` (migration 0008) writes the same form in SQL.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import orjson

from taskyard_core.domain.task import TaskSpec

_SAFE_DIGITS = 18
"""Integers of so many digits have 64 bits, which is what orjson writes."""
_DECIMALS = 30
"""A number with more of them keeps an exponent."""


def request_hash(spec: TaskSpec) -> bytes:
    """Equal for requests that mean the same task; the traceparent and absolute times of a resend may differ."""
    retry = {name: value for name, value in asdict(spec.retry).items() if value is not None} if spec.retry else {}
    fields = [spec.type, spec.queue, spec.priority, spec.selector, spec.delay or None, spec.timeout, retry or None]
    digest = hashlib.sha256(canonical(orjson.dumps(fields)))
    digest.update(b"\n")
    digest.update(canonical(spec.payload))
    return digest.digest()


def written_hash(spec: TaskSpec) -> bytes:
    """Equal for requests that are written alike, byte by byte: how the versions before this one compared them."""
    parts = (
        spec.type,
        spec.queue,
        str(spec.priority),
        spec.selector,
        str(spec.delay),
        str(spec.timeout),
        str(spec.retry),
    )
    return hashlib.sha256("\0".join(parts).encode() + b"\0" + spec.payload).digest()


def canonical(document: bytes) -> bytes:
    """The one form of all JSON documents that mean the same; the document is valid and not too deep."""
    text = document.decode()
    try:
        return _rewritten(text, int)
    except orjson.JSONEncodeError:
        # It has an integer of more than 64 bits. They are rare, and reading all of them as text is slow.
        return _rewritten(text, _integer)


def _rewritten(text: str, integer: Callable[[str], Any]) -> bytes:
    return orjson.dumps(json.loads(text, parse_int=integer, parse_float=_number), option=orjson.OPT_SORT_KEYS)


def _integer(digits: str) -> int | orjson.Fragment:
    return int(digits) if len(digits) <= _SAFE_DIGITS else orjson.Fragment(digits)


def _number(text: str) -> int | orjson.Fragment:
    """A number with a fraction or an exponent: without an exponent and without zeros that do not count.

    Only one with very many decimals keeps an exponent: no number grows beyond the 309 digits that the largest has.
    """
    if text.endswith(".0"):
        return _integer(text[:-2])
    if len(text) <= _DECIMALS and text[-1] != "0" and "e" not in text and "E" not in text:
        # Most have this form already.
        return orjson.Fragment(text)
    sign = "-" if text[0] == "-" else ""
    mantissa, _, exponent = text.lstrip("-").lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    written = whole + fraction
    digits = written.rstrip("0")
    power = int(exponent or 0) - len(fraction) + len(written) - len(digits)
    digits = digits.lstrip("0")
    if not digits:
        return 0
    if power >= 0:
        return _integer(sign + digits + "0" * power)
    if power < -_DECIMALS:
        return orjson.Fragment(f"{sign}{digits}e{power}")
    digits = digits.rjust(1 - power, "0")
    return orjson.Fragment(f"{sign}{digits[:power]}.{digits[power:]}")
