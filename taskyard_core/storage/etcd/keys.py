"""Every etcd key Taskyard uses is built here and nowhere else."""


class EtcdKeys:
    """The keys below one prefix, so that several installations can share a cluster."""

    def __init__(self, prefix: str = "/taskyard") -> None:
        self.prefix = prefix
        self.cluster = f"{prefix}/cluster"
        """Key of the id of the cluster that uses this prefix."""
        self.election = f"{prefix}/election/"
        """Prefix of the candidates for leadership."""
        self.dispatchers = f"{prefix}/dispatchers/"
        """Prefix of the dispatchers that are alive."""
        self.sessions = f"{prefix}/sessions/"
        """Prefix of the worker sessions that are alive."""
        self.profiles = f"{prefix}/workers/"
        """Prefix of what the workers of the sessions are."""

    def candidate(self, lease_id: int) -> str:
        """Key of the candidate that holds `lease_id`."""
        return f"{self.election}{lease_id:016x}"

    def dispatcher(self, dispatcher_id: str) -> str:
        """Key of one dispatcher. Raises ValueError if the id can't be part of a key."""
        return self.dispatchers + _segment(dispatcher_id)

    def session(self, session_id: str) -> str:
        """Key of one worker session. Raises ValueError if the id can't be part of a key."""
        return self.sessions + _segment(session_id)

    def profile(self, session_id: str) -> str:
        """Key of what the worker of one session is. Raises ValueError if the id can't be part of a key."""
        return self.profiles + _segment(session_id)

    @staticmethod
    def name(key: str) -> str:
        """Return the id a key was built from."""
        return key.rpartition("/")[2]


def _segment(text: str) -> str:
    if not text or "/" in text or not text.isprintable():
        raise ValueError(f"not usable as part of an etcd key: {text!r}")
    return text
