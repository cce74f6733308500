"""What happened in a run, as its clients, its workers and its database recorded it."""
