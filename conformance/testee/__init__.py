"""The Python SDK's testee: commands on stdin, what happened on stdout. It uses the SDK as any application does."""
