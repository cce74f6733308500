"""Every etcd key Taskyard uses is built here and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EtcdKeys:
    """The keys below one prefix, so that several installations can share a cluster."""

    prefix: str = "/taskyard"

    @property
    def cluster(self) -> str:
        """Key of the id of the cluster that uses this prefix."""
        return f"{self.prefix}/cluster"

    @property
    def election(self) -> str:
        """Prefix of the candidates for leadership."""
        return f"{self.prefix}/election/"

    def candidate(self, lease_id: int) -> str:
        """Key of the candidate that holds `lease_id`."""
        return f"{self.election}{lease_id:016x}"

    @property
    def dispatchers(self) -> str:
        """Prefix of the dispatchers that are alive."""
        return f"{self.prefix}/dispatchers/"

    def dispatcher(self, dispatcher_id: str) -> str:
        """Key of one dispatcher. Raises ValueError if the id can't be part of a key."""
        return self.dispatchers + _segment(dispatcher_id)

    @property
    def sessions(self) -> str:
        """Prefix of the worker sessions that are alive."""
        return f"{self.prefix}/sessions/"

    def session(self, session_id: str) -> str:
        """Key of one worker session. Raises ValueError if the id can't be part of a key."""
        return self.sessions + _segment(session_id)

    @property
    def profiles(self) -> str:
        """Prefix of what the workers of the sessions are."""
        return f"{self.prefix}/workers/"

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
