"""Generate one package's copy of the protobuf and gRPC code.

protoc's Python output imports its siblings as `taskyard.v1.x_pb2`, which would be a top-level package of that name;
the imports are rewritten to the package that holds the copy. The registered file names stay `taskyard/v1/*.proto`, so
that two identical copies in one process give the same message classes.

Usage: generate.py TARGET_DIR PACKAGE [--below DIR]
"""

import argparse
import re
import shutil
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parent


def generate(target: Path, package: str) -> None:
    """Replace `target` by freshly generated modules that import each other as `package.*`."""
    with tempfile.TemporaryDirectory() as scratch:
        _run_protoc(Path(scratch))
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        (target / "__init__.py").write_text('"""Generated from proto/; do not edit."""\n')
        for source in sorted(Path(scratch).rglob("*.py*")):
            (target / source.name).write_text(_rebase(source.read_text(), package))


def _run_protoc(out: Path) -> None:
    protos = [str(path.relative_to(ROOT)) for path in sorted(ROOT.rglob("*.proto"))]
    well_known = str(files("grpc_tools") / "_proto")
    outputs = [f"--{plugin}_out={out}" for plugin in ("python", "grpc_python")]
    outputs += [f"--{plugin}_out=quiet:{out}" for plugin in ("mypy", "mypy_grpc")]
    scripts = Path(sys.executable).parent
    plugins = [f"--plugin={scripts / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc")]
    if protoc.main(["protoc", f"-I{ROOT}", f"-I{well_known}", *plugins, *outputs, *protos]) != 0:
        sys.exit("protoc failed")


def _rebase(text: str, package: str) -> str:
    return re.sub(r"^from taskyard\.v1 import", f"from {package} import", text, flags=re.M)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("package")
    parser.add_argument("--below", type=Path, default=Path())
    args = parser.parse_args()
    generate(args.below / args.target, args.package)
