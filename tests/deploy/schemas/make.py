"""Writes the JSON schemas of the custom resources that the chart uses, and of skaffold.yaml, strict and without prose.

They come from the models of published packages and from Skaffold's Go module (Apache-2.0). They rarely change, and
their sources are large, so they are kept here:

    pip install cloudcoil-models-keda==2.16.1.0 cloudcoil-models-prometheus-operator==0.80.1.0
    python tests/deploy/schemas/make.py
"""

import importlib
import json
import subprocess
from pathlib import Path
from typing import Any

MODELS = {
    "cloudcoil.models.keda.v1alpha1": ["ScaledObject"],
    "cloudcoil.models.prometheus_operator.v1": ["PodMonitor", "PrometheusRule", "ServiceMonitor"],
}
SKAFFOLD = "github.com/GoogleContainerTools/skaffold/v2@v2.16.1"
SKAFFOLD_SCHEMA = "docs-v2/content/en/schemas/v4beta13.json"
NOISE = {"title", "description", "default", "examples", "preferredOrder", "x-intellij-html-description"}


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
        key: strict(value, names=not names and key in ("properties", "$defs", "definitions"))
        for key, value in schema.items()
        if names or key not in NOISE
    }
    return kept | {"additionalProperties": False} if not names and "properties" in kept else kept


def skaffold() -> Any:
    """The schema of skaffold.yaml, as Skaffold publishes it."""
    command = ["go", "mod", "download", "-json", SKAFFOLD]
    module = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    published = json.loads((Path(module["Dir"]) / SKAFFOLD_SCHEMA).read_text(encoding="utf-8"))
    return {"$comment": f"{SKAFFOLD_SCHEMA} of {SKAFFOLD}, without prose"} | strict(published)


def write(name: str, schema: Any) -> None:
    """Writes one file."""
    text = json.dumps(schema, indent=1, sort_keys=True)
    Path(__file__).with_name(f"{name}.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    """Writes one file for each kind."""
    write("skaffold", skaffold())
    for module, kinds in MODELS.items():
        for kind in kinds:
            model = getattr(importlib.import_module(module), kind)
            schema = strict(model.model_json_schema())
            # Kubernetes' own parts are the API server's to check.
            schema["properties"] = {name: part for name, part in schema["properties"].items() if name != "status"}
            for name in [name for name in schema["$defs"] if name.startswith("ObjectMeta")]:
                schema["$defs"][name] = {"type": "object"}
            write(kind.lower(), schema)


if __name__ == "__main__":
    main()
