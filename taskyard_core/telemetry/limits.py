"""How many series the SDK may export per instrument."""

from opentelemetry.sdk.metrics import ObservableCounter, ObservableGauge

# The tallies bound the labels; the SDK's own limit of 2000 would lump together series below that bound.
CARDINALITY: dict[type, int] = {ObservableCounter: 50_000, ObservableGauge: 50_000}
