"""The documentation says what the code says, as far as that can be compared."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from taskyard.cli.exit_code import MEANINGS
from taskyard_core.domain.task import TaskState
from taskyard_dispatcher.settings import DispatcherSettings
from taskyard_scheduler.api.failures import Reason
from taskyard_scheduler.settings import SchedulerSettings

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page for places in ("*.md", "docs/*.md", "sdk/*/README.md", "deploy/*/README.md") for page in ROOT.glob(places)
)

_SHOWN_FILE = re.compile(r"<!-- file: (\S+) -->\n```\w+\n(.*?)```", re.DOTALL)
_FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def shown_files() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        yield from _SHOWN_FILE.findall(page.read_text())


def anchors(page: Path) -> set[str]:
    headings = _HEADING.findall(_FENCED.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def requirements(path: str) -> set[str]:
    document = tomllib.loads((ROOT / path).read_text())
    project = document["project"]
    lists = [
        project["dependencies"],
        *project.get("optional-dependencies", {}).values(),
        *document.get("dependency-groups", {}).values(),
    ]
    return {re.split(r"[\[<>=!~ ]", requirement, maxsplit=1)[0] for group in lists for requirement in group}


def first_cells(text: str) -> set[str]:
    """What stands in backquotes at the beginning of a table's rows."""
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def test_the_readme_shows_the_examples_as_they_are() -> None:
    shown = dict(shown_files())
    assert {"examples/hello_worker.py", "examples/submit.py"} <= shown.keys()
    for path, text in shown.items():
        assert text == (ROOT / path).read_text(), path


def test_the_readme_has_its_commands_and_first_code_early() -> None:
    beginning = "\n".join((ROOT / "README.md").read_text().splitlines()[:25])
    assert "make demo" in beginning
    assert "make test" in beginning
    assert "```python" in beginning


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCED.sub("", page.read_text())):
        if ":" in link.partition("#")[0]:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    for page in ROOT.glob("docs/*.md"):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


@pytest.mark.parametrize("settings", [SchedulerSettings, DispatcherSettings])
def test_every_setting_is_documented_with_flag_variable_and_default(settings: type[BaseSettings]) -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    for name, field in settings.model_fields.items():
        row = f"| `{name}` | `--{name.replace('_', '-')}` | `TASKYARD_{name.upper()}` |"
        rows = [line for line in text.splitlines() if line.startswith(row)]
        assert rows, f"{name} is missing"
        if field.default_factory is None:
            default = str(field.default).removesuffix(".0")
            cells = {line.split("|")[4].replace("`", "").partition(" (")[0].strip() for line in rows}
            assert default in cells or name == "advertised_address", f"{name} has the default {default}, not {cells}"


def test_no_setting_is_documented_that_does_not_exist() -> None:
    known = SchedulerSettings.model_fields.keys() | DispatcherSettings.model_fields.keys()
    assert first_cells((ROOT / "docs/configuration.md").read_text()) == known


def test_every_dependency_has_its_reason_and_no_other_has() -> None:
    documented = first_cells((ROOT / "docs/dependencies.md").read_text())
    python = requirements("pyproject.toml") | requirements("sdk/python/pyproject.toml")
    assert documented == python | go_modules() | node_packages()


def go_modules() -> set[str]:
    text = (ROOT / "sdk/go/go.mod").read_text()
    return set(re.findall(r"^(?:require|\t) ?(\S+\.\S+/\S+) v\S+$", text, re.MULTILINE))


def node_packages() -> set[str]:
    package = json.loads((ROOT / "sdk/typescript/package.json").read_text())
    return set(package["dependencies"]) | set(package["devDependencies"])


def test_every_error_reason_is_documented_with_its_statuses() -> None:
    text = (ROOT / "docs/api.md").read_text()
    for reason in Reason:
        assert f"| `{reason}` | {reason.http} | {reason.code.name} |" in text, reason


def test_every_exit_code_is_documented() -> None:
    text = (ROOT / "docs/cli.md").read_text()
    for code, meaning in MEANINGS.items():
        assert f"| {code.value} | {meaning} |" in text, code


def test_limits_are_checked_where_their_page_says() -> None:
    rows = re.findall(r"^\| .*", (ROOT / "docs/limits.md").read_text(), re.MULTILINE)
    places = set(re.findall(r"`([\w/]+\.(?:py|sql))`", "".join(rows)))
    assert places
    assert [place for place in places if not (ROOT / place).is_file()] == []


def test_every_state_is_in_the_architecture() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    assert all(state in text for state in TaskState)
