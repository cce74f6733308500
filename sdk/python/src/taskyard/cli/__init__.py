"""The command `taskyard`."""


def main() -> None:
    """Run the command line; ends the process with one of the exit codes of `ExitCode`."""
    from taskyard.cli.root import app

    app()
