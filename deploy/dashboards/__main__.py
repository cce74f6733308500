"""Write the chart's dashboards: `python -m deploy.dashboards`."""

import json
from pathlib import Path

from deploy.dashboards import boards, grafana

FOLDER = Path(__file__).parents[2] / "helm" / "taskyard" / "files" / "dashboards"


def text(name: str) -> str:
    """The file of a dashboard."""
    return json.dumps(grafana.document(boards.ALL[name]), indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all of them."""
    for name in boards.ALL:
        (FOLDER / f"{name}.json").write_text(text(name))


if __name__ == "__main__":
    main()
