"""Benchmarks: how fast a cluster takes, hands out and finishes tasks. Run `python -m bench --help`."""
