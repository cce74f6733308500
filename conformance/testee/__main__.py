"""`python -m conformance.testee [--broken NAME]`."""

import sys

from conformance.testee.mutation import break_sdk


def main() -> None:
    """Break the SDK where that is asked for, before anything of it is imported, and serve."""
    if sys.argv[1:2] == ["--broken"]:
        break_sdk(sys.argv[2])
    from conformance.testee.service import serve

    serve()


# Processes of isolated handlers import this module under another name.
if __name__ == "__main__":
    main()
