"""Pins the images that ours are made of: `bases.py [--check] [DOCKERFILE]`.

Asks the registries which digest the tag of each `ARG NAME=image:tag` has, that of all platforms together, and writes it
behind the tag: all of them, or, when one cannot be told, none. With `--check` nobody is asked, and an image without a
digest is an error: what a release is made of must be the same tomorrow.
"""

import hashlib
import re
import sys
from pathlib import Path

import httpx

DOCKERFILE = Path(__file__).parents[2] / "Dockerfile"
BASE = re.compile(r"^(?P<name>ARG \w+)=(?P<image>[^\s@]+)(?:@(?P<digest>\S+))?$", re.MULTILINE)
STAGE = re.compile(r"^FROM (?P<image>\S+)(?: AS (?P<name>\S+))?$", re.MULTILINE | re.IGNORECASE)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
HUB = "registry-1.docker.io"


class Refused(ValueError):
    """An answer that is no digest."""


def main() -> None:
    """Pins the images of the Dockerfile, or checks that they are."""
    check, paths = "--check" in sys.argv, [argument for argument in sys.argv[1:] if argument != "--check"]
    path = Path(paths[0]) if paths else DOCKERFILE
    text = path.read_text()
    if check:
        sys.exit("\n".join(unpinned(text)) or None)
    with httpx.Client(timeout=30, follow_redirects=True) as client:
        pinned = BASE.sub(lambda base: pin(client, base), text)
    path.write_text(pinned)


def unpinned(text: str) -> list[str]:
    """What is wrong with each base that has no digest, and with what is made of something else than a base."""
    names = {f"${{{base['name'].removeprefix('ARG ')}}}" for base in BASE.finditer(text)}
    known = names | {stage["name"] for stage in STAGE.finditer(text)}
    strange = [stage["image"] for stage in STAGE.finditer(text) if stage["image"] not in known]
    return [
        *(f"FROM {image}: is neither a stage nor an image of an ARG above, alone on its line" for image in strange),
        *(
            f"{base['name']}: {base['image']} is not pinned by a digest: run `make image-bases`"
            for base in BASE.finditer(text)
            if not DIGEST.fullmatch(base["digest"] or "")
        ),
    ]


def pin(client: httpx.Client, base: re.Match[str]) -> str:
    """The line with the digest of today; ends the program when there is none."""
    try:
        found = digest(client, base["image"])
    except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError) as error:
        sys.exit(f"{base['image']}: {error or type(error).__name__}. Nothing was changed.")
    return f"{base['name']}={base['image']}@{found}"


def digest(client: httpx.Client, image: str) -> str:
    """What the registry has under this tag: the hash of the list of its platforms, checked."""
    url = manifest(image)
    headers = {"Accept": ", ".join(INDEXES)}
    answer = client.get(url, headers=headers)
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        headers["Authorization"] = f"Bearer {token(client, answer.headers.get('WWW-Authenticate', ''))}"
        answer = client.get(url, headers=headers)
    answer.raise_for_status()
    if (kind := answer.headers.get("Content-Type", "").partition(";")[0]) not in INDEXES:
        raise Refused(f"{kind or 'something without a type'} is not an image for several platforms")
    found = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    if (said := answer.headers.get("Docker-Content-Digest", found)) != found:
        raise Refused(f"the registry says {said}, and sent {found}")
    return found


def manifest(image: str) -> str:
    """Where the registry tells of an image: Docker Hub's, unless it begins with another's name."""
    registry, slash, path = image.partition("/")
    if not slash or not re.search(r"[.:]|^localhost$", registry):
        registry, path = HUB, image if slash else f"library/{image}"
    repository, colon, tag = path.rpartition(":")
    if not colon:
        raise Refused("has no tag")
    scheme = "http" if re.match(r"(localhost|127\.0\.0\.1)(:|$)", registry) else "https"
    return f"{scheme}://{registry}/v2/{repository}/manifests/{tag}"


def token(client: httpx.Client, challenge: str) -> str:
    """What everybody gets who asks for leave to pull."""
    wanted = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    answer = client.get(wanted.pop("realm"), params=wanted).raise_for_status().json()
    found: str = answer.get("token") or answer["access_token"]
    return found


if __name__ == "__main__":
    main()
