"""The wire contract: generated messages, and what they are in the domain."""
