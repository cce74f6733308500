"""Writes the JSON schemas of the custom resources that the chart uses, strict, from the models of a published package.

They rarely change, and the package is slow to load, so its schemas are kept here:

    pip install cloudcoil-models-keda==2.16.1.0 cloudcoil-models-prometheus-operator==0.80.1.0
    python tests/deploy/schemas/make.py
"""

import importlib
import json
from pathlib import Path
from typing import Any

MODELS = {
    "cloudcoil.models.keda.v1alpha1": ["ScaledObject"],
    "cloudcoil.models.prometheus_operator.v1": ["PodMonitor", "PrometheusRule", "ServiceMonitor"],
}
NOISE = {"title", "description", "default"}


def strict(schema: Any, names: bool = False) -> Any:
    """The schema without prose, refusing what it does not list. `names`: the keys are fields of the resource."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if isinstance(schema, str):
        # Go takes flags anywhere in an expression, Python only in front.
        return schema.replace("^(?i)", "(?i)^")
    if not isinstance(schema, dict):
        return schema
    kept = {
        key: strict(value, names=not names and key in ("properties", "$defs"))
        for key, value in schema.items()
        if names or key not in NOISE
    }
    return kept | {"additionalProperties": False} if not names and "properties" in kept else kept


def main() -> None:
    """Writes one file for each kind."""
    for module, kinds in MODELS.items():
        for kind in kinds:
            model = getattr(importlib.import_module(module), kind)
            schema = strict(model.model_json_schema())
            # Kubernetes' own parts are the API server's to check.
            schema["properties"] = {name: part for name, part in schema["properties"].items() if name != "status"}
            for name in [name for name in schema["$defs"] if name.startswith("ObjectMeta")]:
                schema["$defs"][name] = {"type": "object"}
            text = json.dumps(schema, indent=1, sort_keys=True)
            Path(__file__).with_name(f"{kind.lower()}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
