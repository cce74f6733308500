"""What follows once a change of tasks is committed: lanes are filled, and whoever waits hears of it.

Postgres has decided by then. All here may be lost: the outbox and polls make up for it.
"""
