"""The standing experiments are what Chaos Mesh takes, and aim at nothing but Taskyard."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import chaos.experiments
from chaos.backends.cluster import Role
from tests.integration.chaos.mesh_fields import Manifest

FOLDER = Path(chaos.experiments.__file__).parent / "kubernetes"
DOCUMENTS = [
    (path.name, document) for path in sorted(FOLDER.glob("*.yaml")) for document in yaml.safe_load_all(path.read_text())
]


def selectors(value: Any) -> list[dict[str, Any]]:
    """All label selectors, however deep."""
    if isinstance(value, list):
        return [found for each in value for found in selectors(each)]
    if not isinstance(value, dict):
        return []
    own = [value["selector"]] if "selector" in value else []
    return [*own, *(found for each in value.values() for found in selectors(each))]


@pytest.mark.parametrize(("file", "document"), DOCUMENTS)
def test_a_manifest_has_the_published_fields(file: str, document: dict[str, Any]) -> None:
    Manifest.model_validate(document)


@pytest.mark.parametrize(("file", "document"), DOCUMENTS)
def test_a_manifest_selects_parts_of_taskyard(file: str, document: dict[str, Any]) -> None:
    found = selectors(document)
    assert found
    for selector in found:
        assert selector["namespaces"] == ["taskyard"]
        assert selector["labelSelectors"]["app.kubernetes.io/name"] == "taskyard"
        assert selector["labelSelectors"]["app.kubernetes.io/component"] in set(Role)


def test_names_are_unique() -> None:
    names = [document["metadata"]["name"] for _, document in DOCUMENTS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("role", Role)
def test_every_role_is_struck(role: Role) -> None:
    struck = {
        selector["labelSelectors"]["app.kubernetes.io/component"]
        for _, each in DOCUMENTS
        for selector in selectors(each)
    }
    assert role in struck
