"""Where the command starts: first of all it keeps the user's modules out."""

import os
import sys

from taskyard_server import apart


def main() -> None:
    """Runs the command given on the command line."""
    # Whoever starts a single role, e.g. an image, decides with PYTHONPATH where its packages are.
    variable = os.environ.get("PYTHONPATH", "") if sys.argv[1:2] == ["dev"] else ""
    if not sys.flags.safe_path:
        sys.path[:] = apart.search_path(sys.path, variable, os.curdir)
    elif variable:
        sys.path[:] = apart.search_path(sys.path, variable, os.sep)
    from taskyard_server.command import main as run

    run()
