"""Label selectors once more, written apart from the server's so that a mistake there is not repeated here."""

import re
from collections.abc import Mapping

_TERMS = re.compile(r",(?![^(]*\))")
_SET = re.compile(r"(\S+)\s+(in|notin)\s*\(([^)]*)\)")
_COMPARISON = re.compile(r"([^\s=!>]+)\s*(!=|>=|==|=)\s*(\S+)")


def holds(selector: str, labels: Mapping[str, str]) -> bool:
    """Whether labels satisfy a selector such as `io=ssd,region in (eu,us),!spot,memory_gb>=16`."""
    return all(_holds(term.strip(), labels) for term in _TERMS.split(selector) if term.strip())


def _holds(term: str, labels: Mapping[str, str]) -> bool:
    if found := _SET.fullmatch(term):
        values = {value.strip() for value in found[3].split(",")}
        return (labels.get(found[1]) in values) == (found[2] == "in")
    if found := _COMPARISON.fullmatch(term):
        value = labels.get(found[1])
        if found[2] == ">=":
            return value is not None and re.fullmatch(r"-?[0-9]+", value) is not None and int(value) >= int(found[3])
        return (value == found[3]) == (found[2] != "!=")
    return term[1:].strip() not in labels if term.startswith("!") else term in labels
