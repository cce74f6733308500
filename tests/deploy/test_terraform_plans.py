"""The real Terraform checks the modules and plans them, with providers that have a schema only, and its own mocks."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.terraform.source import MODULES, ROOT
from tests.deploy.providers.facts import PROVIDERS, known

TERRAFORM = shutil.which("terraform") or ""
ALONE = {"TF_DISABLE_PLUGIN_TLS": "1", "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}
WRONG = """
resource "helm_release" "wrong" {
  name  = "a"
  chart = "b"
  chrat = "c"
}
"""

pytestmark = pytest.mark.skipif(not TERRAFORM, reason="no terraform")


def terraform(*arguments: str, folder: Path) -> str:
    """Runs Terraform, which finds all that it needs on this machine."""
    command = [TERRAFORM, *arguments]
    answer = subprocess.run(command, cwd=folder, env=os.environ | ALONE, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that Terraform takes for a mirror of its registry."""
    folder = tmp_path_factory.mktemp("mirror")
    platform = json.loads(terraform("version", "-json", folder=folder))["platform"]
    for file in PROVIDERS.glob("*.json"):
        facts = known(file.stem)
        program = folder / facts["source"] / facts["version"] / platform / f"terraform-provider-{file.stem}"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\nexec '{sys.executable}' '{PROVIDERS / 'server.py'}' '{file}'\n")
        program.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The modules, where Terraform may leave things beside them."""
    return shutil.copytree(ROOT, tmp_path_factory.mktemp("work") / "terraform")


def test_files_are_in_the_usual_format() -> None:
    terraform("fmt", "-check", "-recursive", "-diff", "-no-color", folder=ROOT)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_valid_and_its_plans_hold(name: str, modules: Path, mirror: Path) -> None:
    terraform("init", "-no-color", f"-plugin-dir={mirror}", folder=modules / name)
    terraform("validate", "-no-color", folder=modules / name)
    assert " 0 failed" in terraform("test", "-no-color", folder=modules / name)


def test_these_providers_find_mistakes(tmp_path: Path, mirror: Path) -> None:
    module = shutil.copytree(ROOT / "release", tmp_path / "release")
    (module / "wrong.tf").write_text(WRONG)
    terraform("init", "-no-color", f"-plugin-dir={mirror}", folder=module)
    with pytest.raises(AssertionError, match="Unsupported argument"):
        terraform("validate", "-no-color", folder=module)
