"""The `.sql` files beside it by name, read once at import: a process may have no descriptor left when it needs one."""

from importlib.resources import files

_TEXTS = {file.name: file.read_text() for file in (files(__package__) / "queries").iterdir()}


def load(name: str) -> str:
    """The text of `queries/<name>.sql`."""
    return _TEXTS[f"{name}.sql"]
