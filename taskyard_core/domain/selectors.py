"""Label selectors: Kubernetes' syntax for sets and equality, with integer `>=` added.

`io=ssd,region in (eu,us),arch notin (arm),gpu,!spot,memory_gb>=16`: all terms must hold. As in Kubernetes, `!=` and
`notin` also hold where the label is missing; `>=` needs a label that is a decimal integer. The function
`taskyard.canonical_selector` reads the same language in SQL.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from taskyard_core.domain import limits
from taskyard_core.domain.text import printable
from taskyard_core.domain.violations import Violation


class Operator(StrEnum):
    """How a term compares a label."""

    IN = "in"
    NOT_IN = "notin"
    EXISTS = "exists"
    NOT_EXISTS = "!"
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True, order=True)
class Term:
    """One requirement on one label; `values` are sorted and unique."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether a worker with these labels satisfies the term."""
        value = labels.get(self.key)
        match self.operator:
            case Operator.IN:
                return value in self.values
            case Operator.NOT_IN:
                return value not in self.values
            case Operator.EXISTS:
                return value is not None
            case Operator.NOT_EXISTS:
                return value is None
            case Operator.AT_LEAST:
                return value is not None and _at_least(value, int(self.values[0]))

    def __str__(self) -> str:
        match self.operator:
            case Operator.IN if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case Operator.NOT_IN if len(self.values) == 1:
                return f"{self.key}!={self.values[0]}"
            case Operator.IN | Operator.NOT_IN:
                return f"{self.key} {self.operator} ({','.join(self.values)})"
            case Operator.EXISTS:
                return self.key
            case Operator.NOT_EXISTS:
                return f"!{self.key}"
            case Operator.AT_LEAST:
                return f"{self.key}>={self.values[0]}"


_BLANK = r"[ \t\r\n]*"
_KEY = r"[A-Za-z0-9](?:[A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9](?:[A-Za-z0-9._/:+-]*[A-Za-z0-9])?"
_SET = re.compile(rf"({_KEY})[ \t\r\n]+(in|notin){_BLANK}\({_BLANK}({_VALUE}(?:{_BLANK},{_BLANK}{_VALUE})*){_BLANK}\)")
_EQUAL = re.compile(rf"({_KEY}){_BLANK}(==|=|!=){_BLANK}({_VALUE})")
_AT_LEAST = re.compile(rf"({_KEY}){_BLANK}>={_BLANK}(-?[0-9]{{1,18}})")
_EXISTS = re.compile(rf"(!?){_BLANK}({_KEY})")
_INTEGER = re.compile(r"-?[0-9]{1,18}")
_SEPARATOR = re.compile(rf"{_BLANK},{_BLANK}")
_SWAPPED = re.compile(rf"{_BLANK}(?:=>|>(?!=))")
_LABEL_KEY = re.compile(_KEY)


def read(text: str) -> tuple[Term, ...]:
    """The terms of a selector, sorted and unique; raises Violation on `selector`."""
    if len(text) > limits.SELECTOR_LENGTH:
        raise Violation("selector", f"longer than {limits.SELECTOR_LENGTH} characters")
    text = text.strip(" \t\r\n")
    terms: set[Term] = set()
    position = 0
    while position < len(text):
        term, position = _term_at(text, position)
        terms.add(term)
        position = _next_term(text, position)
    if len(terms) > limits.SELECTOR_TERMS:
        raise Violation("selector", f"more than {limits.SELECTOR_TERMS} requirements")
    return tuple(sorted(terms))


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Term, ...]:
    """As `read`, for a caller that sees the same few again and again."""
    return read(text)


def canonical(text: str) -> str:
    """The one spelling of a selector, so that equal selectors share a lane."""
    return ",".join(str(term) for term in parse(text)) if text else ""


def fits(text: str, labels: Mapping[str, str]) -> bool:
    """Whether a worker with these labels may run a task with this selector."""
    return all(term.holds(labels) for term in parse(text))


def check_labels(labels: Mapping[str, str]) -> None:
    """Raise Violation where a worker's labels break the rules."""
    if len(labels) > limits.LABELS:
        raise Violation("labels", f"more than {limits.LABELS} labels")
    for key, value in labels.items():
        if len(key) > limits.LABEL_KEY_LENGTH or not _LABEL_KEY.fullmatch(key):
            raise Violation(f"labels[{ascii(key[:80])[1:-1]}]", "not a valid label key")
        if len(value) > limits.LABEL_VALUE_LENGTH:
            raise Violation(f"labels[{key}]", f"longer than {limits.LABEL_VALUE_LENGTH} characters")
        printable(f"labels[{key}]", value)


def _term_at(text: str, position: int) -> tuple[Term, int]:
    if match := _SET.match(text, position):
        operator = Operator.IN if match[2] == "in" else Operator.NOT_IN
        values = _SEPARATOR.split(match[3])
        return Term(_key(match[1]), operator, tuple(sorted(set(values)))), match.end()
    if match := _AT_LEAST.match(text, position):
        return Term(_key(match[1]), Operator.AT_LEAST, (str(int(match[2])),)), match.end()
    if match := _EQUAL.match(text, position):
        operator = Operator.NOT_IN if match[2] == "!=" else Operator.IN
        return Term(_key(match[1]), operator, (match[3],)), match.end()
    if match := _EXISTS.match(text, position):
        operator = Operator.NOT_EXISTS if match[1] else Operator.EXISTS
        return Term(_key(match[2]), operator), match.end()
    raise Violation("selector", f"cannot be read from character {position + 1} on")


def _key(key: str) -> str:
    if len(key) > limits.LABEL_KEY_LENGTH:
        raise Violation("selector", f"label key longer than {limits.LABEL_KEY_LENGTH} characters")
    return key


def _next_term(text: str, position: int) -> int:
    if position == len(text):
        return position
    separator = _SEPARATOR.match(text, position)
    if not separator or separator.end() == len(text):
        hint = "; at least is written >=" if _SWAPPED.match(text, position) else ""
        raise Violation("selector", f"expected ',' and a requirement at character {position + 1}{hint}")
    return separator.end()


def _at_least(value: str, bound: int) -> bool:
    return bool(_INTEGER.fullmatch(value)) and int(value) >= bound
