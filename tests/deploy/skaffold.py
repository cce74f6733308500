"""skaffold.yaml as Skaffold reads it: with the patches of profiles, and deployed with images that it made up."""

import functools
import re
from dataclasses import dataclass
from typing import Any

import yaml

from tests.deploy.chart import ROOT, Loader, Release, helm

FILE = yaml.load((ROOT / "skaffold.yaml").read_text(), Loader=Loader)
PROFILES = {profile["name"]: profile for profile in FILE["profiles"]}
USES = ((), ("dev",), ("debug",), ("chaos",), ("chaos", "storm"))
"""Profiles that are meant to be used together."""
TAG = "0123456789abcdef" * 4
"""Of every image, as where nothing is pushed: made of its contents."""

Document = dict[str, Any]


def patched(*profiles: str) -> Document:
    """The configuration with these profiles; raises LookupError for a patch that does not fit."""
    document: Document = yaml.safe_load(yaml.safe_dump(FILE))
    del document["profiles"]
    for name in profiles:
        for patch in PROFILES[name]["patches"]:
            apply(document, patch)
    return document


def apply(document: Any, patch: Document) -> None:
    """One operation of a JSON patch: `add`, or `replace` of what is there."""
    *path, last = patch["path"].strip("/").split("/")
    place = document
    for step in path:
        place = place[int(step) if isinstance(place, list) else step]
    match patch["op"], place:
        case "add", list():
            if int(last) > len(place):
                raise LookupError(patch["path"])
            place.insert(int(last), patch["value"])
        case "add", dict():
            place[last] = patch["value"]
        case "replace", list():
            place[int(last)] = patch["value"]
        case "replace", dict() if last in place:
            place[last] = patch["value"]
        case _:
            raise LookupError(f"{patch['op']} {patch['path']}")


@dataclass(frozen=True)
class Deployment:
    """What Skaffold would install with some profiles."""

    config: Document

    @property
    def release(self) -> Document:
        """The one Helm release."""
        (release,) = self.config["deploy"]["helm"]["releases"]
        found: Document = release
        return found

    @property
    def images(self) -> list[str]:
        """Names of the images that are built."""
        return [artifact["image"] for artifact in self.config["build"]["artifacts"]]

    def variables(self) -> dict[str, str]:
        """What templates may name."""
        found = {"TASKYARD_OTLP_ENDPOINT": ""}
        for image in self.images:
            name = re.sub(r"[/.:-]", "_", image)
            found |= {
                f"IMAGE_DOMAIN_{name}": "docker.io",
                f"IMAGE_REPO_NO_DOMAIN_{name}": image,
                f"IMAGE_TAG_{name}": TAG,
                f"IMAGE_DIGEST_{name}": "",
            }
        return found

    def set_values(self) -> list[str]:
        """Arguments for Helm; raises KeyError for a template that names what is not there."""
        variables = self.variables()
        templates: dict[str, str] = self.release["setValueTemplates"]
        pattern = r'\{\{(?:default "" )?\.(\w+)\}\}'
        expanded = {key: re.sub(pattern, lambda match: variables[match[1]], text) for key, text in templates.items()}
        return [word for key, value in expanded.items() for word in ("--set", f"{key}={value}")]

    def rendering(self) -> Release:
        """What Helm makes of it."""
        release = self.release
        files = [word for path in release["valuesFiles"] for word in ("--values", ROOT / path)]
        place = (release["name"], ROOT / release["chartPath"], "--namespace", release["namespace"])
        answer = helm("template", *place, *files, *self.set_values())
        assert answer.returncode == 0, answer.stderr
        return Release(answer.stdout)


@functools.cache
def deployment(*profiles: str) -> Deployment:
    """That of some profiles."""
    return Deployment(patched(*profiles))


@functools.cache
def installed(*profiles: str) -> Release:
    """What is installed with some profiles."""
    return deployment(*profiles).rendering()
