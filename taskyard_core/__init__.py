"""The ground floor that schedulers and dispatchers stand on: what a task is, where it is kept, how it is told of.

Neither role is imported from here, so what both need has one place and neither can lean on the other.
"""
