"""The real Terraform checks the modules and plans them, with providers that have a schema only, and its own mocks."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.terraform.source import MODULES, ROOT
from tests.deploy.providers.facts import PROVIDERS, known
from tests.deploy.providers.server import serving

TERRAFORM = shutil.which("terraform") or ""
WRONG = """
resource "helm_release" "wrong" {
  name  = "a"
  chart = "b"
  chrat = "c"
}
"""

Terraform = Callable[..., str]

pytestmark = pytest.mark.skipif(not TERRAFORM, reason="no terraform")


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terraform]:
    """Runs Terraform, which finds all that it needs on this machine."""
    schemas = [known(file.stem) for file in PROVIDERS.glob("*.json")]
    with serving(schemas, tmp_path_factory.mktemp("providers")) as providers:
        alone = {"TF_REATTACH_PROVIDERS": providers, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"}

        def run(*arguments: str, folder: Path) -> str:
            command = [TERRAFORM, *arguments, "-no-color"]
            answer = subprocess.run(
                command, cwd=folder, env=os.environ | alone, capture_output=True, text=True, check=False
            )
            assert answer.returncode == 0, answer.stdout + answer.stderr
            return answer.stdout

        yield run


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The modules, where Terraform may leave things beside them."""
    return shutil.copytree(ROOT, tmp_path_factory.mktemp("work") / "terraform")


def test_files_are_in_the_usual_format(terraform: Terraform) -> None:
    terraform("fmt", "-check", "-recursive", "-diff", folder=ROOT)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_valid_and_its_plans_hold(name: str, modules: Path, terraform: Terraform) -> None:
    terraform("init", folder=modules / name)
    terraform("validate", folder=modules / name)
    assert " 0 failed" in terraform("test", folder=modules / name)


def test_these_providers_find_mistakes(tmp_path: Path, terraform: Terraform) -> None:
    module = shutil.copytree(ROOT / "release", tmp_path / "release")
    (module / "wrong.tf").write_text(WRONG)
    terraform("init", folder=module)
    with pytest.raises(AssertionError, match="Unsupported argument"):
        terraform("validate", folder=module)
