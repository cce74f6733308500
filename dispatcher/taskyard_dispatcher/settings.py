"""Settings of the dispatcher role: flag > environment `TASKYARD_*` > YAML file."""

from pydantic import Field, field_validator

from taskyard_core.runtime.address import Address
from taskyard_core.runtime.settings import StoreSettings, host_names


class DispatcherSettings(StoreSettings):
    """What a dispatcher can be told. Times are in seconds."""

    session_address: str = Field("0.0.0.0:7071", description="host:port where workers open sessions")
    http_address: str = Field("0.0.0.0:8081", description="host:port of /metrics, /livez and /readyz")
    http_hosts: str = Field(
        "", description="names, besides localhost, that /metrics on a loopback address answers to: a,b or *"
    )
    advertised_address: str = Field("", description="host:port that workers reach; default: the session address")
    heartbeat_interval: float = Field(3.0, gt=0, description="how often workers send a heartbeat")
    session_timeout: float = Field(10.0, gt=0, description="a session without a frame for this long is broken")
    stream_grace: float = Field(3.0, ge=0, description="how long a broken session may take to come back")
    leader_ttl: int = Field(5, gt=1, description="lease of the leader's election key")
    retention: float = Field(7 * 24 * 3600.0, gt=0, description="how long ended tasks and their keys are kept")
    dead_letter_retention: float = Field(30 * 24 * 3600.0, gt=0, description="how long FAILED tasks are kept")
    drain_timeout: float = Field(20.0, ge=0, description="how long a stopping dispatcher waits for workers to move")

    @field_validator("session_address", "http_address", "advertised_address")
    @classmethod
    def _is_an_address(cls, text: str) -> str:
        return str(Address.parse(text)) if text else text

    @property
    def names(self) -> frozenset[str]:
        """What this host is called by those who read its metrics."""
        return host_names(self.http_hosts)
