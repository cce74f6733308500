"""How this process calls itself towards OpenTelemetry."""

from opentelemetry.sdk.resources import OTELResourceDetector, Resource

from taskyard_core.telemetry.identity import Identity


def describe(identity: Identity) -> Resource:
    """The process's resource; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over what it knows of itself."""
    own = {
        "service.namespace": "taskyard",
        "service.name": f"taskyard-{identity.role}",
        "service.instance.id": identity.id,
        "k8s.pod.name": identity.pod,
    }
    return Resource.create(own).merge(OTELResourceDetector().detect())
