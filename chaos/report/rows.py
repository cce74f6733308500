"""Pictures with one row for each thing that has a bound: recoveries in seconds, sizes as shares of what is allowed."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator

from chaos.report import ink
from chaos.report.thinning import sampled
from chaos.result import Recovery, RestCheck

_WIDTH = 11.0
_ROW = 0.27
_LEAST = 0.01
"""Seconds; what is shorter is drawn here."""
_MOST = 1.25
"""Shares above it are drawn here."""


def recoveries_picture(recoveries: Sequence[Recovery]) -> str:
    """A strip of dots for each kind of recovery, with its bound."""
    with ink.drawing("recoveries", _WIDTH, 0.9 + _ROW * len(recoveries)) as figure:
        axes = figure.subplots()
        for row, recovery in enumerate(recoveries):
            _draw_recovery(axes, row, recovery)
        _name_rows(axes, [f"{recovery.name}  " for recovery in recoveries])
        axes.set_xscale("log")
        axes.set_xlim(_LEAST * 0.9, _longest(recoveries) * 1.3)
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} s"))
        axes.xaxis.set_minor_locator(LogLocator(subs=()))
        _explain(axes, [("o", ink.ENDED, "alone"), ("x", ink.MUTED, "overlapped"), ("|", ink.BAD, "bound of p99")])
        return ink.svg(figure, "Recovery times by kind, with their bounds")


def _draw_recovery(axes: Axes, row: int, recovery: Recovery) -> None:
    overlapped = [max(_LEAST, value) for value in sampled(recovery.overlapped)]
    alone = [max(_LEAST, value) for value in sampled(recovery.alone)]
    axes.plot(overlapped, [row + 0.16] * len(overlapped), "x", color=ink.MUTED, markersize=3, alpha=0.6)
    axes.plot(alone, [row - 0.12] * len(alone), "o", color=ink.ENDED, markersize=4, alpha=0.55, markeredgewidth=0)
    if recovery.bound is not None:
        axes.plot([recovery.bound] * 2, [row - 0.42, row + 0.42], color=ink.BAD, linewidth=2)


def _longest(recoveries: Sequence[Recovery]) -> float:
    times = [time for recovery in recoveries for time in (*recovery.alone, *recovery.overlapped, recovery.bound or 0)]
    return max([1.0, *times])


def sizes_picture(checks: Sequence[RestCheck]) -> str:
    """From the size at the start to that at the end, both as shares of what is allowed at the end."""
    with ink.drawing("sizes", _WIDTH, 0.9 + _ROW * len(checks)) as figure:
        axes = figure.subplots()
        for row, check in enumerate(checks):
            start, end = _share(check.start, check.allowed), _share(check.end, check.allowed)
            colour = ink.ENDED if check.within else ink.BAD
            axes.plot([start, end], [row, row], color=colour, linewidth=1.6, alpha=0.5)
            axes.plot(start, row, "o", color=ink.MUTED, markersize=5, markerfacecolor="none")
            axes.plot(end, row, "o", color=colour, markersize=5.5)
        axes.axvline(1.0, color=ink.BAD, linewidth=1.6)
        _name_rows(axes, [f"{check.name}  " for check in checks])
        axes.set_xlim(-0.02, _MOST + 0.02)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
        _explain(axes, [("o", ink.MUTED, "start"), ("o", ink.ENDED, "end"), ("|", ink.BAD, "allowed at the end")])
        return ink.svg(figure, "Sizes at the start and at the end, as shares of what is allowed")


def _share(value: float, allowed: float) -> float:
    if allowed:
        return min(_MOST, value / allowed)
    return _MOST if value else 0.0


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    ink.bare(axes, grid="x")
    axes.set_yticks(range(len(names)), names, color=ink.INK)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _explain(axes: Axes, marks: Sequence[tuple[str, str, str]]) -> None:
    handles = [
        Line2D(
            [], [], marker=marker, color=colour, linestyle="", markersize=6, markeredgewidth=2 if marker == "|" else 1
        )
        for marker, colour, _ in marks
    ]
    axes.legend(
        handles,
        [name for _, _, name in marks],
        ncols=len(marks),
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1, 1),
        borderaxespad=0,
    )
