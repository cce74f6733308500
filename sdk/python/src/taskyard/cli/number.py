"""Numbers as people write them, in the digits 0 to 9 and nothing else: Python would take 1_0, ' 5' or NaN, too."""

import math
import re
from collections.abc import Callable

import typer

_WHOLE = re.compile(r"-?[0-9]{1,18}")
_NUMBER = re.compile(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?")


def whole(least: float = -math.inf, most: float = math.inf) -> Callable[[str | int], int]:
    """A parser of whole numbers within these bounds."""

    def integer(value: str | int) -> int:
        return int(_checked(str(value), _WHOLE, "a whole number", least, most))

    return integer


def number(least: float = -math.inf) -> Callable[[str | float], float]:
    """A parser of numbers from that on, perhaps with a fraction."""

    def float_(value: str | float) -> float:
        return float(_checked(str(value), _NUMBER, "a number", least, math.inf))

    float_.__name__ = "float"
    return float_


def _checked(text: str, form: re.Pattern[str], called: str, least: float, most: float) -> str:
    if not form.fullmatch(text):
        raise typer.BadParameter(f"{text!r} is not {called}.")
    if not least <= float(text) <= most:
        bounds = f"{least:g} to {most:g}" if most < math.inf else f"{least:g} or more"
        raise typer.BadParameter(f"{text} is not {bounds}.")
    return text
