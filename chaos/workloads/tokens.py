"""What makes each payload unlike all others, so that a stored task can be traced to its submit."""

import random


def token(draw: random.Random) -> str:
    """128 bits from the run's own seed."""
    return f"{draw.getrandbits(128):032x}"
