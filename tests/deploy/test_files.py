"""Dashboards and alert rules that lie in the chart's folders reach the cluster unchanged."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tests.deploy.chart import CHART, Release, template

RULES = """
groups:
  - name: sample
    rules:
      - alert: Sample
        expr: sum(taskyard_leader) != 1
        annotations: {summary: "{{ $labels.pod }} has {{ $value }}"}
"""
DASHBOARD = {"title": "Sample", "panels": [{"title": "{{queue}} of $namespace"}]}


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    copy = tmp_path / "taskyard"
    shutil.copytree(CHART, copy)
    (copy / "files/rules/sample.yaml").write_text(RULES)
    (copy / "files/dashboards/sample.json").write_text(json.dumps(DASHBOARD, indent=2))
    return copy


def test_rules_and_dashboards_are_taken_as_they_are(chart: Path) -> None:
    answer = template("--values", chart / "ci" / "observability-values.yaml", chart=chart)
    assert answer.returncode == 0, answer.stderr
    rendering = Release(answer.stdout)
    assert rendering.named("PrometheusRule", "taskyard-sample")["spec"] == yaml.safe_load(RULES)
    dashboard = rendering.named("ConfigMap", "taskyard-dashboard-sample")
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["sample.json"]) == DASHBOARD


def test_without_being_asked_for_they_stay_out(chart: Path) -> None:
    kinds = {one["kind"] for one in Release(template(chart=chart).stdout).manifests}
    assert not kinds & {"PrometheusRule", "ServiceMonitor", "PodMonitor"}
