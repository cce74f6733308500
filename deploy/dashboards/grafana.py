"""Grafana's JSON from a few words: dashboards are rows of panels, panels are queries."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

WIDTH = 24
DATASOURCE = {"type": "prometheus", "uid": "$datasource"}


@dataclass(frozen=True)
class Query:
    """An expression in PromQL; `legend` names its series, by labels in double braces."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """Queries drawn over time, or as one number each. `bad` is the value from which on they are red."""

    title: str
    queries: Sequence[Query]
    unit: str = "short"
    about: str = ""
    number: bool = False
    stacked: bool = False
    bad: float | None = None


@dataclass(frozen=True)
class Row:
    """Panels side by side; more than fit go on below."""

    title: str
    panels: Sequence[Panel]
    width: int = 8
    height: int = 8


@dataclass(frozen=True)
class Variable:
    """A choice at the top of a dashboard: the values of a label."""

    label: str
    metric: str


@dataclass(frozen=True)
class Dashboard:
    """One page of Grafana."""

    uid: str
    title: str
    about: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()


def document(dashboard: Dashboard) -> Json:
    """The dashboard as Grafana stores it."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.about,
        "tags": ["taskyard"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "graphTooltip": 1,
        "links": [_link()],
        "templating": {"list": [_datasource(), *(_variable(one) for one in dashboard.variables)]},
        "panels": [{"id": number, **panel} for number, panel in enumerate(_panels(dashboard.rows), start=1)],
    }


def _panels(rows: Sequence[Row]) -> Iterator[Json]:
    top = 0
    for row in rows:
        yield {"type": "row", "title": row.title, "gridPos": _place(0, top, WIDTH, 1), "collapsed": False, "panels": []}
        top += 1
        across = WIDTH // row.width
        for number, panel in enumerate(row.panels):
            line, column = divmod(number, across)
            place = _place(column * row.width, top + line * row.height, row.width, row.height)
            yield {**_panel(panel), "gridPos": place}
        top += -(-len(row.panels) // across) * row.height


def _panel(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.bad is not None:
        steps.append({"color": "red", "value": panel.bad})
    custom: Json = {"fillOpacity": 30 if panel.stacked else 10, "showPoints": "never"}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal"}
    defaults: Json = {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}}
    return {
        "type": "stat" if panel.number else "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": DATASOURCE,
        "fieldConfig": {"defaults": defaults if panel.number else {**defaults, "custom": custom}, "overrides": []},
        "options": _number_options() if panel.number else _graph_options(),
        "targets": [_target(query, chr(ord("A") + place)) for place, query in enumerate(panel.queries)],
    }


def _target(query: Query, name: str) -> Json:
    return {"refId": name, "datasource": DATASOURCE, "expr": query.expr, "legendFormat": query.legend or "__auto"}


def _number_options() -> Json:
    return {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "graphMode": "area", "textMode": "auto"}


def _graph_options() -> Json:
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}


def _place(left: int, top: int, width: int, height: int) -> Json:
    return {"x": left, "y": top, "w": width, "h": height}


def _link() -> Json:
    return {"type": "dashboards", "title": "Taskyard", "tags": ["taskyard"], "asDropdown": True, "keepTime": True}


def _datasource() -> Json:
    return {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus"}


def _variable(variable: Variable) -> Json:
    return {
        "type": "query",
        "name": variable.label,
        "label": variable.label.capitalize(),
        "datasource": DATASOURCE,
        "query": {"query": f"label_values({variable.metric}, {variable.label})", "refId": variable.label},
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }
