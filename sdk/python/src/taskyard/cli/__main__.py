"""`python -m taskyard.cli` is the command `taskyard`."""

from taskyard.cli import main

main()
