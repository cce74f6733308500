"""Settings of the scheduler role: flag > environment `TASKYARD_*` > YAML file."""

from pydantic import Field, field_validator

from taskyard_core.runtime.address import Address
from taskyard_core.runtime.settings import Count, Seconds, StoreSettings, host_names


class SchedulerSettings(StoreSettings):
    """What a scheduler can be told. Times are in seconds."""

    rest_address: str = Field("0.0.0.0:8080", description="host:port of the REST API, /metrics, /livez and /readyz")
    rest_hosts: str = Field(
        "", description="names, besides localhost, that a REST API on a loopback address answers to: a,b or *"
    )
    grpc_address: str = Field("0.0.0.0:7070", description="host:port of the gRPC API")
    max_backlog: int = Field(
        1_000_000,
        ge=1,
        description="submits to a queue are refused while this many tasks wait in it, unless it has its own limit",
    )
    max_lanes: int = Field(
        10_000, ge=2, description="submits that would make a new lane are refused while tasks wait in so many"
    )
    list_connections: Count = Field(2, ge=1, description="most connections to Postgres for lists")
    list_timeout: float = Field(
        5.0, ge=0.1, le=3600, description="how long a list may take, or what is done to many tasks at once"
    )
    drain_timeout: Seconds = Field(10.0, ge=0, description="how long a stopping scheduler finishes calls under way")

    @field_validator("rest_address", "grpc_address")
    @classmethod
    def _can_be_listened_on(cls, text: str) -> str:
        return str(Address.parse(text))

    @property
    def names(self) -> frozenset[str]:
        """`rest_hosts`, one by one, and the machine's own name."""
        return host_names(self.rest_hosts)
