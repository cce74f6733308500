"""The page and the summary, from their templates."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from chaos.report import view
from chaos.report.rows import recoveries_picture, sizes_picture
from chaos.report.timeline import moments, timeline
from chaos.report.wording import clock
from chaos.result import Result

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    autoescape=select_autoescape(["html"]),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def page(result: Result) -> str:
    """One HTML document that needs nothing else: no scripts, no other files."""
    recoveries = view.in_order([found for found in result.recoveries if found.alone or found.overlapped])
    pictures = {
        "timeline": timeline(result),
        "moments": ", ".join(f"{name} {clock(at)}" for name, at in moments(result).items()),
        "recoveries_picture": recoveries_picture(recoveries) if recoveries else "",
        "sizes_picture": sizes_picture(result.rest) if result.rest else "",
    }
    return _templates.get_template("report.html").render(**_content(result), **pictures)


def summary(result: Result) -> str:
    """A few lines of Markdown."""
    return _templates.get_template("summary.md").render(**_content(result))


def _content(result: Result) -> dict[str, Any]:
    return {
        "result": result,
        "headline": view.headline(result),
        "confidence": view.confidence(result),
        "bounds": view.bounds(result),
        "obstacles": [] if result.passed else view.obstacles(result),
        "tiles": view.verdict_rows(result),
        "counts": view.count_rows(result),
        "recoveries": view.recovery_rows(view.in_order(result.recoveries)),
        "shares": view.share_rows(result),
        "faults": view.fault_rows(result),
        "stories": view.stories(result),
        "rest": view.rest_rows(result),
        "environment": view.environment_rows(result),
        "command": view.command(result),
    }
