"""The only authority on a task's state. All SQL is in `queries/` and `migrations/`."""
