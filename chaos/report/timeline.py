"""Throughput and backlog over time, with every fault beneath."""

from collections import Counter
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from chaos.report import ink
from chaos.report.thinning import Bins, binned
from chaos.report.wording import clock, number
from chaos.result import FaultRecord, Result

_WIDTH = 11.0
_LINES = (("accepted", ink.ACCEPTED), ("started", ink.STARTED), ("ended", ink.ENDED))


def timeline(result: Result) -> str:
    """The picture as SVG."""
    faults = [fault for fault in result.faults if fault.error is None]
    families = [family for family, _ in Counter(fault.family for fault in faults).most_common()]
    lanes = 0.24 * max(1, len(families))
    with ink.drawing("timeline", _WIDTH, 4.6 + lanes) as figure:
        rates, backlog, bars = figure.subplots(3, 1, sharex=True, height_ratios=[2.6, 1.1, lanes])
        gathered = binned(result.samples)
        _draw_rates(rates, gathered)
        _draw_backlog(backlog, gathered)
        _draw_faults(bars, faults, families, result.facts.ended_at)
        for axes in (rates, backlog, bars):
            _mark(axes, result)
        bars.set_xlim(0, max(result.facts.ended_at, 1.0))
        bars.xaxis.set_major_locator(MaxNLocator(12, steps=[1, 2, 3, 6, 10]))
        bars.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
        return ink.svg(figure, "Throughput and backlog over time, with the faults injected")


def _draw_rates(axes: Axes, gathered: Bins) -> None:
    ink.bare(axes, grid="y")
    at = [bin.at for bin in gathered.bins]
    low, high = [bin.ended_low for bin in gathered.bins], [bin.ended_high for bin in gathered.bins]
    if gathered.seconds > 1:
        axes.fill_between(at, low, high, step="mid", color=ink.ENDED, alpha=0.16, linewidth=0)
    for name, colour in _LINES:
        axes.plot(at, [getattr(bin, name) for bin in gathered.bins], color=colour, linewidth=1.1, label=name)
    mean = f", mean of {gathered.seconds} s; band: lowest and highest second of ended" if gathered.seconds > 1 else ""
    axes.set_title(f"tasks per second{mean}")
    axes.legend(ncols=3, frameon=False, loc="lower right", bbox_to_anchor=(1, 0.98), borderaxespad=0)
    # The drain's burst must not press the hours before it flat.
    top = max((max(bin.accepted, bin.started, bin.ended) for bin in gathered.bins), default=1.0)
    axes.set_ylim(0, max(top * 1.08, 1.0))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _draw_backlog(axes: Axes, gathered: Bins) -> None:
    ink.bare(axes, grid="y")
    at, height = [bin.at for bin in gathered.bins], [bin.backlog for bin in gathered.bins]
    axes.fill_between(at, height, color=ink.BACKLOG, alpha=0.3, linewidth=0)
    axes.plot(at, height, color=ink.BACKLOG, linewidth=0.9)
    axes.set_title("backlog: accepted, not ended")
    axes.set_ylim(0, max(1.0, 1.12 * max(height, default=1)))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))


def _draw_faults(axes: Axes, faults: Sequence[FaultRecord], families: Sequence[str], until: float) -> None:
    ink.bare(axes, grid="x")
    # What is over at once would be thinner than a pixel.
    least = until / 700
    for row, family in enumerate(families):
        spans = [(fault.began, max(least, fault.healed - fault.began)) for fault in faults if fault.family == family]
        axes.broken_barh(spans, (row - 0.32, 0.64), facecolors=ink.FAULT, alpha=0.75, linewidth=0)
    counts = Counter(fault.family for fault in faults)
    axes.set_yticks(range(len(families)), [f"{family} ({counts[family]})" for family in families], color=ink.INK)
    axes.set_ylim(len(families) - 0.4, -0.6)
    axes.set_title(f"faults by family, from injection to healing ({number(len(faults))})")


def _mark(axes: Axes, result: Result) -> None:
    for at in moments(result).values():
        axes.axvline(at, color=ink.MUTED, linewidth=0.8, linestyle=(0, (3, 3)))


def moments(result: Result) -> dict[str, float]:
    """When the phases of the run ended, as marked in the picture."""
    facts = result.facts
    ends = {"faults healed": facts.healed_at, "load ended": facts.loaded_until}
    return ends if facts.drained_at is None else {**ends, "all tasks ended": facts.drained_at}
