"""Passwords of the stores: drawn once, and kept where only their owner can read them."""

import os
import secrets
from pathlib import Path

PRIVATE = 0o700
"""Mode of directories that are nobody else's business."""


def kept(path: Path) -> str:
    """The secret in a file; a new one where there is none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text()


def write_private(path: Path, text: str) -> None:
    """Replaces a file in one step by one that only its owner can read."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def close(directory: Path) -> None:
    """Makes a directory where there is none, and its owner's alone in any case. Raises PermissionError."""
    directory.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    if directory.stat().st_mode & 0o077:
        directory.chmod(PRIVATE)
