"""The command `taskyard`."""

import os


def main() -> None:
    """Run the command line; ends the process with one of the exit codes of `ExitCode`."""
    from taskyard.cli import streams
    from taskyard.cli.root import app

    streams.prepare()
    # gRPC writes its own view of broken connections to stderr, where only our one line belongs.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    app()
