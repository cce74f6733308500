"""Draws the report of a run again from its data: `python -m chaos.report report.json DIRECTORY`."""

from pathlib import Path
from typing import Annotated

import typer

from chaos.report import write_report
from chaos.result import read_result


def main(
    data: Annotated[Path, typer.Argument(help="What a run found: its report.json or result.json.")],
    directory: Annotated[Path, typer.Argument(help="Where report.html, report.json and summary.md go.")],
) -> None:
    """Draw a report."""
    typer.echo(write_report(read_result(data), directory))


if __name__ == "__main__":
    typer.run(main)
