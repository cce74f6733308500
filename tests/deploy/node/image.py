"""What containers find on their file system and start, for each image that the chart names.

Ours are put together by the script that the Dockerfile runs, and start what the Dockerfile says. Those of the stores
cannot be pulled here: the real servers of other packages take their place.
"""

import re
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from taskyard_server.dev.postgres import Postgres
from taskyard_server.dev.valkey import Valkey
from tests.deploy import python
from tests.deploy.chart import TOOLS
from tests.deploy.dockerfile import configuration

ETCD = TOOLS / "etcd"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BASE = {"PATH": PATH, "HOME": "/tmp", "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt"}
LIBRARIES = [*Path("/usr/lib").glob("*-linux-gnu"), Path("/usr/lib64"), Path("/etc/ssl"), Path("/usr/share/zoneinfo")]
ENTRY = Path(__file__).with_name("postgres.sh")


@dataclass(frozen=True)
class Image:
    """Files by their place in the container, and what starts."""

    files: Mapping[str, Path]
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: str = "/"
    stop_signal: signal.Signals = signal.SIGTERM


def obstacle() -> str | None:
    """Why there are no images on this machine, None if there are."""
    if python.python() is None:
        return python.ABSENT
    return None if ETCD.exists() else "no etcd in .tools: `make verify-deploy` builds it"


def repository(reference: str) -> str:
    """The last two parts of an image's name, by whatever registry and version."""
    match = re.search(r"[^/]+/[^/:@]+(?=(:[^/:@]+)?(@.*)?$)", reference)
    assert match, reference
    return match[0]


def images(assembled: Path) -> dict[str, Image]:
    """Every image of the chart by its repository. `assembled` has the files of ours."""
    return {
        "taskyard/taskyard-server": _ours("server", assembled),
        "taskyard/taskyard-worker": _ours("worker", assembled),
        "library/postgres": _postgres(),
        "valkey/valkey": _program("valkey-server", Valkey(Path()).binary),
        "coreos/etcd": _program("etcd", ETCD),
    }


def places(paths: list[Path]) -> dict[str, Path]:
    """Those of the machine's files that are there, at their own places."""
    return {str(path): path for path in paths if path.exists()}


def _ours(stage: str, assembled: Path) -> Image:
    """Python without any shell, and our files."""
    said = configuration(stage)
    return Image(
        files={**python.files(), **places(LIBRARIES), "/opt/taskyard": assembled / stage},
        entrypoint=said.entrypoint,
        arguments=said.arguments,
        environment={**BASE, **said.environment},
        directory=said.directory,
    )


def _program(name: str, program: Path) -> Image:
    return Image(files={**places(LIBRARIES), f"/usr/local/bin/{name}": program}, environment=BASE)


def _postgres() -> Image:
    """Its entry point is a stand-in: the image's own does the same and more."""
    package = Postgres(Path()).binary.parents[2]
    beside = [package, package.with_suffix(".libs")]
    return Image(
        files={"/usr": Path("/usr"), "/opt/entrypoint.sh": ENTRY, **{f"/opt/{path.name}": path for path in beside}},
        entrypoint=("/bin/sh", "/opt/entrypoint.sh"),
        environment={**BASE, "PATH": f"/opt/{package.name}/pginstall/bin:{PATH}"},
        # The official image says so: on SIGTERM Postgres would wait until all clients have gone.
        stop_signal=signal.SIGINT,
    )
