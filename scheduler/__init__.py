"""Vocabulary and control plane of Taskyard: domain, storage, wire format and the public API."""
