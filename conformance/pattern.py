"""Patterns: what a case says about a document, and where the two differ.

A mapping holds if each of its keys does; keys that it does not name are free. A list holds item by item. Anything else
is equal, numbers digit by digit. What a pattern wants to be false, zero or empty may be missing. Operators are
mappings with keys that begin with `$`; several in one mapping all have to hold.
"""

import re
from collections.abc import Callable
from typing import Any

from conformance.documents import Json

Names = dict[str, Any]
"""What `$save` has kept."""

_ABSENT = object()
_EMPTY: tuple[Any, ...] = (False, 0, "", [], {}, None)


def difference(pattern: Any, found: Any, names: Names) -> str | None:
    """Where `found` is not what the pattern says; None if it is. Names are kept only if all of it holds."""
    kept: Names = {}
    told = _differ(pattern, found, {**names}, kept, "")
    if told is None:
        names.update(kept)
    return told


def check(pattern: Any) -> None:
    """Raise ValueError for an operator that does not exist, or that is mixed with ordinary keys."""
    if isinstance(pattern, list):
        for item in pattern:
            check(item)
    if not isinstance(pattern, dict):
        return
    operators = [key for key in pattern if key.startswith("$")]
    for key in operators:
        if key not in _OPERATORS:
            raise ValueError(f"no operator {key}")
    if operators and len(operators) != len(pattern):
        raise ValueError(f"operators and fields are mixed in {pattern}")
    for value in pattern.values():
        check(value)


def _differ(pattern: Any, found: Any, names: Names, kept: Names, path: str) -> str | None:
    if isinstance(pattern, dict) and pattern and all(key.startswith("$") for key in pattern):
        for key, argument in pattern.items():
            if told := _OPERATORS[key](argument, found, names, kept, path):
                return told
        return None
    if found is _ABSENT:
        return None if any(_same(pattern, empty) for empty in _EMPTY) else f"{path or '.'} is missing"
    value = found.value if isinstance(found, Json) else found
    if isinstance(pattern, dict):
        return _differ_mapping(pattern, value, names, kept, path)
    if isinstance(pattern, list):
        return _differ_list(pattern, value, names, kept, path)
    return None if _same(pattern, value) else f"{path or '.'} is {_short(found)}, not {_short(pattern)}"


def _differ_mapping(pattern: dict[str, Any], value: Any, names: Names, kept: Names, path: str) -> str | None:
    if not isinstance(value, dict):
        return f"{path or '.'} is {_short(value)}, not a mapping"
    for key, wanted in pattern.items():
        if told := _differ(wanted, value.get(key, _ABSENT), names, kept, f"{path}.{key}"):
            return told
    return None


def _differ_list(pattern: list[Any], value: Any, names: Names, kept: Names, path: str) -> str | None:
    if not isinstance(value, list) or len(value) != len(pattern):
        return f"{path or '.'} is {_short(value)}, not {len(pattern)} items"
    for place, wanted in enumerate(pattern):
        if told := _differ(wanted, value[place], names, kept, f"{path}[{place}]"):
            return told
    return None


def _same(pattern: Any, value: Any) -> bool:
    # In Python True is 1; in JSON it is not.
    return pattern == value and isinstance(pattern, bool) == isinstance(value, bool)


def _short(value: Any) -> str:
    if value is _ABSENT:
        return "missing"
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:300]}…"


Operator = Callable[[Any, Any, Names, Names, str], str | None]


def _absent(wanted: Any, found: Any, _names: Names, _kept: Names, path: str) -> str | None:
    there = found is not _ABSENT and found is not None
    return f"{path} is {_short(found)}" if there is wanted else None


def _save(name: str, found: Any, _names: Names, kept: Names, path: str) -> str | None:
    if found is _ABSENT:
        return f"{path} is missing"
    kept[name] = found.value if isinstance(found, Json) else found
    return None


def _is(name: str, found: Any, names: Names, _kept: Names, path: str) -> str | None:
    return None if name in names and found == names[name] else f"{path} is {_short(found)}, not {names.get(name)!r}"


def _not(pattern: Any, found: Any, names: Names, _kept: Names, path: str) -> str | None:
    return f"{path} is {_short(found)}" if _differ(pattern, found, names, {}, path) is None else None


def _number(compare: Callable[[Any, Any], bool], word: str) -> Operator:
    def operator(limit: Any, found: Any, _names: Names, _kept: Names, path: str) -> str | None:
        number = float(found[:-1]) if isinstance(found, str) and found.endswith("s") else found
        if found is _ABSENT:
            number = 0
        return None if compare(number, limit) else f"{path} is {_short(found)}, not {word} {limit}"

    return operator


def _matches(expression: str, found: Any, _names: Names, _kept: Names, path: str) -> str | None:
    text = found.text if isinstance(found, Json) else found
    if isinstance(text, str) and re.search(expression, text, re.DOTALL):
        return None
    return f"{path} is {_short(found)}, which does not fit {expression!r}"


def _length(pattern: Any, found: Any, names: Names, kept: Names, path: str) -> str | None:
    value = found.value if isinstance(found, Json) else found
    return _differ(pattern, 0 if value is _ABSENT or value is None else len(value), names, kept, f"length of {path}")


def _raw(text: str, found: Any, _names: Names, _kept: Names, path: str) -> str | None:
    sent = found.raw if isinstance(found, Json) else b"" if found is _ABSENT else None
    return None if sent == text.encode() else f"{path} is {_short(found)}, not the bytes of {text}"


def _only(pattern: dict[str, Any], found: Any, names: Names, kept: Names, path: str) -> str | None:
    value = found.value if isinstance(found, Json) else found
    if isinstance(value, dict) and (more := value.keys() - pattern.keys()):
        return f"{path or '.'} also has {', '.join(sorted(more))}"
    return _differ(pattern, value, names, kept, path)


def _unordered(pattern: list[Any], found: Any, names: Names, kept: Names, path: str) -> str | None:
    rest = [] if found is _ABSENT else list(found)
    for wanted in pattern:
        fits = next((item for item in rest if _differ(wanted, item, names, kept, path) is None), _ABSENT)
        if fits is _ABSENT:
            return f"{path}: nothing is {_short(wanted)} in {_short(found)}"
        rest.remove(fits)
    return f"{path} also has {_short(rest)}" if rest else None


def _each(pattern: Any, found: Any, names: Names, kept: Names, path: str) -> str | None:
    for place, item in enumerate([] if found is _ABSENT else found):
        if told := _differ(pattern, item, names, kept, f"{path}[{place}]"):
            return told
    return None


_OPERATORS: dict[str, Operator] = {
    "$absent": _absent,
    "$save": _save,
    "$is": _is,
    "$not": _not,
    "$ge": _number(lambda found, limit: found >= limit, "at least"),
    "$le": _number(lambda found, limit: found <= limit, "at most"),
    "$fits": _matches,
    "$length": _length,
    "$raw": _raw,
    "$only": _only,
    "$unordered": _unordered,
    "$each": _each,
}
