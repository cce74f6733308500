"""SQL stands in `.sql` files, where it can be read, explained and broken on purpose; each is asked by one module."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PRODUCT = ("taskyard_core", "scheduler", "dispatcher", "taskyard_server")
POSTGRES = ROOT / "taskyard_core" / "storage" / "postgres"

_STATEMENT = re.compile(
    r"\s*(SELECT|INSERT INTO|DELETE FROM|UPDATE \w+(\.\w+)? SET|WITH|SET (LOCAL|SESSION)|BEGIN|COMMIT|TRUNCATE"
    r"|(CREATE|ALTER|DROP|LOCK) (SCHEMA|TABLE|INDEX|ROLE|DATABASE|FUNCTION|SYSTEM|TYPE))\b"
)


def statements(text: str) -> Iterator[str]:
    """String literals in Python that begin as a statement does."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _STATEMENT.match(node.value):
            yield node.value


def test_no_statement_stands_in_python() -> None:
    files = [file for package in PRODUCT for file in (ROOT / package).rglob("*.py")]
    assert len(files) > 200
    assert {str(file.relative_to(ROOT)): found for file in files if (found := list(statements(file.read_text())))} == {}


def test_a_statement_in_python_would_be_found() -> None:
    assert list(statements('fetch("SELECT 1"); fetch(f"CREATE ROLE {name}"); send("SET", "key")')) == [
        "SELECT 1",
        "CREATE ROLE ",
    ]


def test_each_statement_is_asked_by_one_module() -> None:
    asked = defaultdict(set)
    for file in POSTGRES.glob("*.py"):
        for name in re.findall(r'\bload\("(\w+)"\)', file.read_text()):
            asked[name].add(file.name)
    assert {name: where for name, where in asked.items() if len(where) > 1} == {}
    assert set(asked) == {file.stem for file in (POSTGRES / "queries").iterdir()}
