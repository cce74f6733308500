"""A pod's volumes as directories, and what its containers see of them."""

import os
from pathlib import Path

from tests.deploy.chart import Manifest
from tests.deploy.node.container import Mount
from tests.deploy.node.environment import Lookup, data

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class Volumes:
    """Made for one pod, below its own directory. Claims are kept beside it and outlive it."""

    def __init__(self, spec: Manifest, pod: Path, claims: Path, find: Lookup, account: dict[str, str]) -> None:
        self._group: int = spec["securityContext"]["fsGroup"]
        self._pod = pod
        self._claims = claims
        self._find = find
        self._places = {volume["name"]: self._make(volume) for volume in spec["volumes"]}
        self._token: list[Mount] = []
        if spec.get("automountServiceAccountToken", True):
            place = pod / "volumes" / "kube-api-access"
            _write(place, account)
            self._token = [Mount(place, ACCOUNT)]

    def mounts(self, container: Manifest) -> list[Mount]:
        """Those of a container."""
        own = [
            Mount(self._places[mount["name"]], mount["mountPath"], not mount.get("readOnly", False))
            for mount in container["volumeMounts"]
        ]
        return own + self._token

    def _make(self, volume: Manifest) -> Path:
        place = self._pod / "volumes" / str(volume["name"])
        match volume:
            case {"emptyDir": _}:
                self._own(place)
            case {"persistentVolumeClaim": {"claimName": name}}:
                place = self._claims / str(name)
                self._own(place)
            case {"configMap": {"name": name}}:
                _write(place, data(self._find("ConfigMap", name)))
            case {"secret": {"secretName": name}}:
                _write(place, data(self._find("Secret", name)), volume["secret"]["defaultMode"], self._group)
            case _:
                raise ValueError(f"a volume of a new kind: {volume}")
        return place

    def _own(self, place: Path) -> None:
        """As the node does it with fsGroup: the pod's group may write, and what is made there is its too."""
        if not place.exists():
            place.mkdir(parents=True)
            os.chown(place, -1, self._group)
            place.chmod(0o2777)


def _write(place: Path, files: dict[str, str], mode: int = 0o644, group: int = 0) -> None:
    place.mkdir(parents=True)
    for name, text in files.items():
        path = place / name
        path.write_text(text)
        os.chown(path, -1, group)
        path.chmod(mode)
