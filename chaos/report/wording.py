"""How figures are written for people."""

from chaos.result import Spread

NOTHING = "\N{EN DASH}"
"""Stands where there is no figure."""
_TIMES = "\N{MULTIPLICATION SIGN}"
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def number(value: float) -> str:
    """1234567 -> "1,234,567"; fractions keep one digit."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"


def plural(count: int, noun: str) -> str:
    """1 -> "1 fault", 2 -> "2 faults"."""
    return f"{number(count)} {noun}" if count == 1 else f"{number(count)} {noun}s"


def seconds(value: float) -> str:
    """0.0123 -> "12 ms", 1.234 -> "1.23 s", 83 -> "83 s"."""
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s" if value < 59.95 else f"{value:,.0f} s"


def duration(value: float) -> str:
    """95 -> "1 min 35 s"."""
    minutes, rest = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h" if hours else "", f"{minutes} min" if minutes else "", f"{rest} s" if rest else ""]
    return " ".join(part for part in parts if part) or "0 s"


def clock(value: float) -> str:
    """95 -> "1:35", minutes and seconds into the run."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes}:{rest:02d}"


def size(value: float, unit: str) -> str:
    """Bytes as KiB to TiB, other units as they are."""
    if unit != "bytes":
        return f"{number(value)} {unit}"
    rank = 0
    while value >= 1024 and rank < len(_SIZES) - 1:
        value, rank = value / 1024, rank + 1
    return f"{value:.0f} {_SIZES[rank]}" if value >= 100 or rank == 0 else f"{value:.1f} {_SIZES[rank]}"


def percent(part: float, whole: float) -> str:
    """A share with the digits that small ones need."""
    if not whole:
        return NOTHING
    share = 100 * part / whole
    return f"{share:.0f} %" if share in (0, 100) else f"{share:.3g} %"


def small(value: float) -> str:
    """A probability: 3e-06 as a number and a power of ten."""
    digits, _, exponent = f"{value:.1e}".partition("e")
    return f"{digits} {_TIMES} 10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def spread(value: Spread | None) -> tuple[str, str, str, str]:
    """Count, p50, p99, maximum; dashes where nothing was measured."""
    if value is None:
        return ("0", NOTHING, NOTHING, NOTHING)
    return (number(value.count), seconds(value.p50), seconds(value.p99), seconds(value.max))
