"""The end of a leader's term, whoever notices it."""


class TermOver(Exception):
    """The leader can't be sure that it still leads, or another one surely does; it may change nothing more."""
