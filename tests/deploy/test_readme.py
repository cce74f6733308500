"""The chart's README is what its values say."""

import shutil
import subprocess
from pathlib import Path

from tests.deploy.chart import CHART, TOOLS


def test_the_readme_is_generated_from_the_values(tmp_path: Path) -> None:
    for name in ("Chart.yaml", "values.yaml", "README.md.gotmpl"):
        shutil.copy(CHART / name, tmp_path)
    subprocess.run([TOOLS / "helm-docs", "--chart-search-root", tmp_path, "--sort-values-order", "file"], check=True)
    assert (tmp_path / "README.md").read_text() == (CHART / "README.md").read_text(), "run `make chart-readme`"
