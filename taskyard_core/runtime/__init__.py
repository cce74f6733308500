"""What keeps a server's process going: batches, budgets, background work, time, settings, failpoints.

Nothing here knows a task. What knows one, and both roles need, is in `domain`, `storage` or `aftermath`.
"""
