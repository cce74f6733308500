"""Polyglot: chains of tasks whose handlers submit the next step to another language, while workers are killed."""
