"""Loads the `.sql` files beside it by name."""

from functools import cache
from importlib.resources import files


@cache
def load(name: str) -> str:
    """The text of `queries/<name>.sql`."""
    return (files(__package__) / "queries" / f"{name}.sql").read_text()
