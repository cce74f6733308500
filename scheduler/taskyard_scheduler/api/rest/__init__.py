"""The API over HTTP and JSON."""
