"""What the OTEL_* variables ask for."""

from collections.abc import Mapping

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def exporters(signal: str, environment: Mapping[str, str]) -> frozenset[str]:
    """Names of the exporters wanted for "TRACES" or "METRICS".

    OTEL_{signal}_EXPORTER names them; without it an OTLP endpoint alone asks for "otlp". OTEL_SDK_DISABLED switches
    all off.
    """
    if environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return frozenset()
    named = environment.get(f"OTEL_{signal}_EXPORTER", "").strip()
    if named:
        return frozenset(name.strip().lower() for name in named.split(",")) - {"none", ""}
    endpoint = environment.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT") or environment.get(_ENDPOINT)
    return frozenset({"otlp"}) if endpoint else frozenset()
