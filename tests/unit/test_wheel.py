"""The built wheel: what is in it, and that it can be installed beside an application with packages of any name."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("taskyard_core", "taskyard_dispatcher", "taskyard_scheduler", "taskyard_server")
THEIRS = ("scheduler", "dispatcher", "core", "server", "domain", "storage")
"""Packages that the application has."""
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built offline, by the tools of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder))
    subprocess.run([*PIP, "wheel", *options, str(ROOT)], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel's packages are, and nothing else is."""
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "--target", str(folder), str(wheel)], check=True)
    return folder


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an application that knows nothing of Taskyard."""
    folder = tmp_path_factory.mktemp("application")
    for name in THEIRS:
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"OWNER = 'the application, {name}'\n")
    return folder


def run(application: Path, installed: Path, *arguments: str) -> str:
    """What Python says in the application's folder, which it also looks into first."""
    environment = {**os.environ, "PYTHONPATH": f"{application}{os.pathsep}{installed}"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=application, env=environment, check=True, capture_output=True, text=True).stdout


def test_the_wheel_has_four_packages_and_nothing_that_only_tests_use(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = [PurePosixPath(name) for name in archive.namelist()]
    assert {name.parts[0] for name in names} == {*OURS, f"{wheel.name.split('-py')[0]}.dist-info"}
    unwanted = {"tests", "simulation", "memory", "conftest.py"}
    assert [name for name in names if unwanted & set(name.parts) or name.name.startswith("test_")] == []


def test_the_wheel_has_all_that_is_no_python(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        inside = {PurePosixPath(name) for name in archive.namelist() if name.endswith((".sql", ".lua"))}
    folders = [ROOT, ROOT / "scheduler", ROOT / "dispatcher"]
    found = [
        (folder, file)
        for folder in folders
        for kind in ("sql", "lua")
        for file in folder.glob(f"taskyard_*/**/*.{kind}")
    ]
    assert inside == {PurePosixPath(file.relative_to(folder)) for folder, file in found} != set()


def test_an_application_finds_its_own_packages_and_ours(application: Path, installed: Path) -> None:
    modules = (
        "taskyard_core.storage.postgres.store, taskyard_scheduler.process, taskyard_dispatcher.process, taskyard_server"
    )
    look = f"import {modules}, {', '.join(THEIRS)}\n" + "".join(
        f"print({name}.{told})\n" for names, told in ((OURS, "__file__"), (THEIRS, "OWNER")) for name in names
    )
    told = run(application, installed, "-c", look).splitlines()
    assert told == [
        *(str(installed / name / "__init__.py") for name in OURS),
        *(f"the application, {name}" for name in THEIRS),
    ]


@pytest.mark.parametrize("command", ["", "scheduler", "dispatcher", "migrate", "dev"])
def test_the_command_works_in_the_applications_folder(application: Path, installed: Path, command: str) -> None:
    said = run(application, installed, "-m", "taskyard_server", *command.split(), "--help")
    assert said.lower().strip().startswith("usage:")
    assert command in said
