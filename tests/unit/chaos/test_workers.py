"""Workers in other languages are checked against values that must be what the one in Python returns."""

import json
import re
from pathlib import Path

import pytest

from chaos.history.events import encoded
from chaos.workloads.deeds import DEEDS
from chaos.workloads.performance import TYPES, digest_of, result

GO = Path(__file__).parents[3] / "chaos" / "workers" / "go"


@pytest.mark.parametrize("case", json.loads((GO / "testdata" / "results.json").read_text()), ids=str)
def test_values_are_those_of_the_worker_in_python(case: dict[str, object]) -> None:
    returned = result(case["payload"], case["attempt"])  # type: ignore[arg-type]
    document = encoded(returned)
    assert (len(document), digest_of(returned)) == (case["bytes"], case["digest"])
    assert document.decode() == case.get("result", document.decode())


def test_the_worker_in_go_serves_all_but_the_hostile() -> None:
    assert re.findall(r'^\t"(chaos\.\w+)",$', (GO / "performance.go").read_text(), re.MULTILINE) == [
        type_ for type_ in TYPES if type_ not in DEEDS
    ]
