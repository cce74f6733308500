"""A report says what it was made on, also where a run has no checkout, as in an image."""

from pathlib import Path

import pytest

from chaos import machine


def test_without_git_the_revision_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert machine.commit() == "unknown"


def test_the_machine_is_described() -> None:
    assert machine.machine().processors > 0
