"""What may be told of a worker session, whose id and secret are its worker's own."""

import hashlib

_LENGTH = 12


def public_name(session: str) -> str:
    """The name under which a session is shown: the same wherever it is shown, and no way back to its id."""
    return digest(session)[:_LENGTH]


def digest(session: str) -> str:
    """What stands for a session where no two may be alike, and is no way back to its id either; 64 hex digits."""
    return hashlib.sha256(session.encode()).hexdigest()


def secret_hash(secret: bytes) -> bytes:
    """What is kept of a session's secret."""
    return hashlib.sha256(secret).digest()
