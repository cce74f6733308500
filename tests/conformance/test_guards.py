"""guards.toml has every guard of the statements that decide: none is forgotten, and each can be taken out."""

import re
from pathlib import Path

import pytest

from taskyard_core.storage.postgres import queries
from tests.conformance.guards import GUARDS, LISTED

STATEMENTS = (
    *("claim", "apply", "submit", "insert_keys", "hold_term", "begin_term"),
    *("session_hello", "session_known", "session_renew", "session_running", "session_end"),
    *("session_drain", "session_generations"),
)
CONDITION = re.compile(
    r"\b(WHERE|AND|OR|JOIN|HAVING|CASE|WHEN|ON CONFLICT|DISTINCT|ORDER BY|LIMIT|FOR (UPDATE|SHARE)|SKIP LOCKED)\b"
)
COMMENT = re.compile(r"--[^\n]*")
CLAUSES = [(guard.statement, guard.code) for guard in GUARDS] + [
    (clause["statement"], clause["code"]) for clause in LISTED["no-guard"]
]


@pytest.mark.parametrize(("statement", "code"), CLAUSES)
def test_a_clause_stands_in_its_statement_once(statement: str, code: str) -> None:
    assert queries.load(statement).count(code) == 1


@pytest.mark.parametrize("statement", STATEMENTS)
def test_every_condition_is_a_guard_or_said_to_be_none(statement: str) -> None:
    # Comments are blanked rather than cut out, so that places stay what they are.
    text = COMMENT.sub(lambda comment: " " * len(comment[0]), queries.load(statement))
    clauses = [code for of, code in CLAUSES if of == statement]
    spans = [range(text.find(code), text.find(code) + len(code)) for code in clauses if code in text]
    forgotten = [
        text[found.start() :].splitlines()[0]
        for found in CONDITION.finditer(text)
        if not any(found.start() in span for span in spans)
    ]
    assert forgotten == []


def test_every_statement_about_sessions_is_looked_at() -> None:
    folder = Path(queries.__file__).with_name("queries")
    assert {file.stem for file in folder.glob("session_*.sql")} <= set(STATEMENTS)
    assert {statement for statement, _ in CLAUSES} == set(STATEMENTS)


@pytest.mark.parametrize("name", sorted({guard.test for guard in GUARDS}))
def test_the_test_that_has_to_fail_is_there(name: str) -> None:
    texts = [file.read_text() for file in Path(__file__).parent.glob("test_*.py")]
    assert sum(text.count(f"async def {name}(") for text in texts) == 1
