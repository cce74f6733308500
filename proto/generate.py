"""Generate one language's copy of the protobuf and gRPC code.

Python: protoc's output imports its siblings as `taskyard.v1.x_pb2`, which would be a top-level package of that name;
the imports are rewritten to the package that holds the copy. The registered file names stay `taskyard/v1/*.proto`, so
that two identical copies in one process give the same message classes.

Usage: generate.py python TARGET PACKAGE | go TARGET PLUGINS | typescript TARGET PLUGINS [--below DIR]
"""

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_tools import protoc

ROOT = Path(__file__).parent


def python(target: Path, package: str) -> None:
    """Replace `target` by freshly generated modules that import each other as `package.*`."""
    scripts = Path(sys.executable).parent
    outputs = [f"{plugin}_out=" for plugin in ("python", "grpc_python")]
    outputs += [f"{plugin}_out=quiet:" for plugin in ("mypy", "mypy_grpc")]
    with tempfile.TemporaryDirectory() as scratch:
        _run_protoc(Path(scratch), outputs, [scripts / "protoc-gen-mypy", scripts / "protoc-gen-mypy_grpc"])
        texts = {path.name: _rebase(path.read_text(), package) for path in Path(scratch).rglob("*.py*")}
    _replace(target, {"__init__.py": '"""Generated from proto/; do not edit."""\n', **texts})


def go(target: Path, plugins: str) -> None:
    """Replace `target` by freshly generated files of one Go package."""
    found = [Path(plugins) / name for name in ("protoc-gen-go", "protoc-gen-go-grpc")]
    _plain(target, ["go_out=paths=source_relative:", "go-grpc_out=paths=source_relative:"], found, "*.go")


def typescript(target: Path, plugins: str) -> None:
    """Replace `target` by freshly generated modules; error details are among them, as no package brings those."""
    details = ["google/rpc/error_details.proto"]
    _plain(target, ["es_out=target=ts,import_extension=js:"], [Path(plugins) / "protoc-gen-es"], "*.ts", details)


def _plain(
    target: Path, outputs: Sequence[str], plugins: Iterable[Path], pattern: str, more: Sequence[str] = ()
) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        _run_protoc(Path(scratch), outputs, plugins, more)
        _replace(target, {path.name: path.read_text() for path in Path(scratch).rglob(pattern)})


def _run_protoc(out: Path, outputs: Sequence[str], plugins: Iterable[Path], more: Sequence[str] = ()) -> None:
    protos = [str(path.relative_to(ROOT)) for path in sorted(ROOT.rglob("*.proto"))]
    well_known = str(files("grpc_tools") / "_proto")
    google = str(Path(error_details_pb2.__file__).parents[2])
    asked = [f"--{output}{out}" for output in outputs]
    asked += [f"--plugin={path.name}={path.resolve()}" for path in plugins]
    if protoc.main(["protoc", f"-I{ROOT}", f"-I{well_known}", f"-I{google}", *asked, *protos, *more]) != 0:
        sys.exit("protoc failed")


def _replace(target: Path, texts: dict[str, str]) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for name in sorted(texts):
        (target / name).write_text(texts[name])


def _rebase(text: str, package: str) -> str:
    return re.sub(r"^from taskyard\.v1 import", f"from {package} import", text, flags=re.M)


if __name__ == "__main__":
    languages = {"python": python, "go": go, "typescript": typescript}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("language", choices=languages)
    parser.add_argument("target", type=Path)
    parser.add_argument("means", help="the package that a copy in Python is, or the directory with the plugins")
    parser.add_argument("--below", type=Path, default=Path())
    args = parser.parse_args()
    languages[args.language](args.below / args.target, args.means)
