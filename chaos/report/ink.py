"""From a drawing to SVG that stands in a page: its colours are the page's, light or dark, its text the page's too."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Each stands for a colour of the page: --NAME in its style sheet.
COLOURS = {
    "ink": "#010101",
    "muted": "#020202",
    "grid": "#030303",
    "accepted": "#040404",
    "started": "#050505",
    "ended": "#060606",
    "backlog": "#070707",
    "fault": "#080808",
    "bad": "#090909",
}
INK, MUTED, GRID, ACCEPTED, STARTED, ENDED, BACKLOG, FAULT, BAD = COLOURS.values()

_STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "grid.color": GRID,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titlecolor": MUTED,
    "path.simplify_threshold": 0.5,
}
_FONT = re.compile(r"font: ([\d.]+px) [^;\"]+")
_REFERENCE = re.compile(r"#([\w-]+)")
_ID = re.compile(r' id="([^"]+)"')
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)


@contextmanager
def drawing(name: str, width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches, in the page's style; `name` keeps what it defines apart from other drawings."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        yield Figure((width, height), layout="constrained")


def svg(figure: Figure, title: str) -> str:
    """The element, as wide as there is room. Call it inside `drawing`."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = _METADATA.sub("", text[text.index("<svg") :])
    for name, colour in COLOURS.items():
        text = text.replace(colour, f"var(--{name})")
    text = _FONT.sub(r"font: \1 var(--font)", text)
    used = set(_REFERENCE.findall(text))
    text = _ID.sub(lambda match: match.group() if match.group(1) in used else "", text)
    # Inside a page it needs neither sizes nor namespaces, which would look like addresses.
    opening = re.sub(r' (?:xmlns(?::\w+)?|version|width|height)="[^"]*"', "", text[: text.index(">")])
    body = text[text.index(">") + 1 :].replace("xlink:href", "href")
    return f'{opening} role="img" aria-label="{title}">{_slim(body)}'


def _slim(body: str) -> str:
    return re.sub(r"\n\s*", "\n", re.sub(r"<!--.*?-->", "", body))


def bare(axes: Axes, *, grid: str) -> None:
    """Only a grid along one axis, no frame."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.grid(visible=True, axis=grid, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
