"""Metrics, traces, logs and probes of scheduler and dispatcher processes."""
