"""What a container's variables are, with what they refer to."""

import re
from collections.abc import Callable, Mapping

from tests.deploy.chart import Manifest

Lookup = Callable[[str, str], Manifest]
"""The object of this kind and name."""


def environment(
    container: Manifest, given: Mapping[str, str], fields: Mapping[str, str], find: Lookup
) -> dict[str, str]:
    """The variables that `given` has, from the image, and those of the container; fields are the pod's own."""
    variables = dict(given)
    for entry in container.get("env", []):
        source = entry.get("valueFrom")
        value = expanded(entry.get("value", ""), variables) if source is None else _read(source, fields, find)
        variables[entry["name"]] = value
    return variables


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """The text with each $(NAME) that is known replaced."""
    return re.sub(r"\$\(([\w.-]+)\)", lambda match: variables.get(match[1], match[0]), text)


def data(manifest: Manifest) -> dict[str, str]:
    """What is in a ConfigMap or a Secret, by key."""
    return {**manifest.get("data", {}), **manifest.get("stringData", {})}


def _read(source: Manifest, fields: Mapping[str, str], find: Lookup) -> str:
    ((kind, reference),) = source.items()
    if kind == "fieldRef":
        return fields[reference["fieldPath"]]
    kinds = {"secretKeyRef": "Secret", "configMapKeyRef": "ConfigMap"}
    return data(find(kinds[kind], reference["name"]))[reference["key"]]
