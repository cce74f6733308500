"""What a task is and what may happen to it: pure values and decisions, standard library only."""
