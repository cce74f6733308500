"""Clients below every documented limit that do harm all the same: one module per door."""
