"""The development cluster: real stores and every role as a process of its own, on one machine."""
