"""The rules for Prometheus ask for metrics and labels that there are, each with an entry in the runbook."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
from ruamel.yaml import YAML
from tests.servers.metrics_page import page

from authz_service.runtime.gateway import Took
from authz_service.servers.worker_metrics import WorkerMetrics
from authz_service.store.writer import Commits

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy" / "prometheus-rules.yml"
GROUPS: list[dict[str, Any]] = YAML(typ="safe").load(FILE.read_text())["groups"]
ALERTS: list[dict[str, Any]] = [alert for group in GROUPS for alert in group["rules"]]
FIELDS = {"alert", "expr", "for", "labels", "annotations"}
OF_PROMETHEUS = {"up": {"job"}}
ADDED = {"process", "instance"}
"""With workers, by whoever joins their pages; and by Prometheus."""


def known() -> dict[str, set[str]]:
    """The labels of each sample that is shown."""
    found: dict[str, set[str]] = dict(OF_PROMETHEUS)
    families = [*page(Commits(), Took()).values(), *WorkerMetrics({"keeper": 9}, {}).collect()]
    for sample in (sample for family in families for sample in family.samples):
        found.setdefault(sample.name, set()).update(sample.labels, ADDED)
    return found


def selectors(node: Any) -> Iterator[Any]:
    """What an expression reads."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("lhs", "rhs", "expr", "vector_selector", "args"):
        below = getattr(node, name, None) or []
        for child in below if isinstance(below, list) else [below]:
            yield from selectors(child)


def grouped_by(node: Any) -> Iterator[str]:
    """The labels that its aggregations keep."""
    if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
        yield from node.modifier.labels
    for name in ("lhs", "rhs", "expr", "args"):
        below = getattr(node, name, None) or []
        for child in below if isinstance(below, list) else [below]:
            yield from grouped_by(child)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert["alert"]))
def test_an_alert_reads_what_is_shown_and_says_what_to_do(alert: dict[str, Any]) -> None:
    assert set(alert) <= FIELDS
    expression, samples = promql_parser.parse(alert["expr"]), known()
    read = list(selectors(expression))
    assert read
    for selector in read:
        assert selector.name in samples
        assert {m.name for m in selector.matchers.matchers} <= samples[selector.name], selector.name
    labels = set.union(*(samples[selector.name] for selector in read))
    assert set(grouped_by(expression)) <= labels
    assert set(re.findall(r"\$labels\.(\w+)", alert["annotations"]["summary"])) <= labels
    assert re.fullmatch(r"\d+m", alert.get("for", "1m"))
    assert alert["labels"]["severity"] in ("page", "ticket")


def test_the_runbook_has_each_alert_and_no_other() -> None:
    manual = (ROOT / "docs" / "operations.md").read_text()
    assert re.findall(r"^### (Authz\w+)$", manual, re.MULTILINE) == [alert["alert"] for alert in ALERTS]
    for alert in ALERTS:
        assert alert["annotations"]["runbook"] == f"docs/operations.md#{alert['alert'].lower()}"


def test_somebody_is_called_when_no_worker_is_left_and_when_the_record_is_away() -> None:
    """With workers `up` is the supervisor's, which lives on; a quiet gateway has no backlog."""
    pages = [alert["expr"] for alert in ALERTS if alert["labels"]["severity"] == "page"]
    for metric in ("authz_process_up", "authz_record_up"):
        assert [expression for expression in pages if metric in expression], metric


def test_an_expression_that_is_none_is_found() -> None:
    with pytest.raises(ValueError, match="parenthesis"):
        promql_parser.parse("sum(rate(authz_decisions_total[5m])")
