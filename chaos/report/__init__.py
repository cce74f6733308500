"""What a chaos run shows to people: a page with pictures, its data, and a summary for the documentation."""

from pathlib import Path

import orjson

from chaos.report.page import page, summary
from chaos.result import Result

__all__ = ["write_report"]


def write_report(result: Result, directory: Path) -> Path:
    """Write report.html, report.json and summary.md into the directory; returns the page's path."""
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / "report.html"
    target.write_text(page(result))
    (directory / "report.json").write_bytes(orjson.dumps(result))
    (directory / "summary.md").write_text(summary(result))
    return target
