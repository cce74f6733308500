"""The data plane: worker sessions, lanes, assignment, completion, and the leader's duties."""
