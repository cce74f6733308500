"""From lanes to sessions: which tasks may run, who gets them, and the loop that keeps it going through outages.

What may be decided without a store (`planning`, `assignment`) is pure and decided there.
"""
