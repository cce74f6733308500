"""The name of a lane: it reads back, and nobody but its module takes it apart."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskyard_core.domain import lanes
from taskyard_core.domain.lanes import Lane
from taskyard_core.storage.lanes import tag

ROOT = Path(__file__).parents[2]
SPLITS = {"split", "rsplit", "partition", "rpartition"}
NO_LANES = {
    "taskyard_core/domain/lanes.py": "the one place",
    "taskyard_core/storage/etcd/keys.py": "keys of etcd",
    "taskyard_core/storage/urls.py": "URLs",
    "scheduler/taskyard_scheduler/api/queues.py": "a page token: namespace and name of a queue",
}

names = st.text(alphabet="abc.-_", min_size=1, max_size=5)


@given(st.builds(Lane, names, names, names, st.integers(0, 10), st.sampled_from(["", "io=ssd", "a in (x,y/z)"])))
def test_a_name_reads_back(lane: Lane) -> None:
    assert lanes.parse(lane.name) == lanes.told(lane.name) == lane
    assert lanes.place(lane.name) == (lane.namespace, lane.queue)
    assert tag(lane.name) == f"{lane.namespace}/{lane.queue}"


def test_what_is_not_a_lane_is_told_as_unknown() -> None:
    for name in ("a/b", "a/b/c/many/", ""):
        assert lanes.told(name) is lanes.UNKNOWN
    with pytest.raises(ValueError, match="unpack"):
        lanes.place("a/b")


def splits(node: ast.AST) -> bool:
    """Whether it splits something at slashes."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr not in SPLITS:
        return False
    return any(isinstance(given, ast.Constant) and given.value == "/" for given in node.args)


def splitters() -> set[str]:
    files = [
        file for package in ("taskyard_core", "scheduler", "dispatcher") for file in (ROOT / package).rglob("*.py")
    ]
    return {str(file.relative_to(ROOT)) for file in files if any(map(splits, ast.walk(ast.parse(file.read_text()))))}


def test_nobody_else_takes_a_name_apart() -> None:
    assert splitters() == set(NO_LANES)


def test_one_statement_takes_a_name_apart() -> None:
    queries = ROOT / "taskyard_core" / "storage" / "postgres" / "queries"
    assert {file.name for file in queries.iterdir() if "split_part" in file.read_text()} == {"list_queues.sql"}
