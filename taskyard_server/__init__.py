"""The `taskyard-server` command: wiring of the roles, and the one-command development cluster."""
