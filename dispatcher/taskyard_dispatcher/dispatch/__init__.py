"""From lanes to sessions: which tasks may run, who gets them, and the loop that keeps it going through outages.

`pipeline` is the one way from a store to a worker, `sources` are the stores that tasks are read from. What may be
decided without a store (`gates`, `planning`, `assignment`) is decided there.
"""
