"""What may be told of a worker session, whose id and secret are its worker's own."""

import hashlib

_LENGTH = 12


def public_name(session: str) -> str:
    """The name under which a session is shown: the same wherever it is shown, and no way back to its id."""
    return hashlib.sha256(session.encode()).hexdigest()[:_LENGTH]


def secret_hash(secret: bytes) -> bytes:
    """What is kept of a session's secret."""
    return hashlib.sha256(secret).digest()
