"""The page of metrics has what the documentation names, and no more; nothing of a request is in it."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from authz_service.servers.checkpoint_metrics import CheckpointMetrics
from authz_service.servers.metrics import ExchangeMetrics, RecordMetrics, serve_metrics
from authz_service.servers.notify_metrics import NotifyMetrics
from authz_service.servers.worker_metrics import WorkerMetrics
from authz_service.store.writer import Commits

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


def page(commits: Commits) -> dict[str, Metric]:
    """The families of a page with all collectors of one process."""
    gateway: Any = SimpleNamespace(
        live={"a", "b"},
        decisions=Counter({"allow": 3, "hold": 1}),
        buffered=4096,
        waiting=SimpleNamespace(total=1, approved=7),
        recorder=SimpleNamespace(backlog=2),
    )
    deliveries = SimpleNamespace(standings={"a": SimpleNamespace(name="a", size=1, failures=0)})
    checkpoints: Any = SimpleNamespace(deliveries=deliveries, is_consistent=True, size=1, taken_at=1.0)
    standing = SimpleNamespace(queued=1, oldest_at=0.0, delivered=2, failures=0, given_up=0)
    notifying: Any = SimpleNamespace(standings={"a": standing}, now=3.0)
    store: Any = SimpleNamespace(commits=commits, queued=5)
    collectors = (
        ExchangeMetrics(gateway),
        RecordMetrics(store, "1.2.3"),
        CheckpointMetrics(checkpoints),
        NotifyMetrics(notifying),
    )

    async def read() -> str:
        async with serve_metrics(0, collectors) as url:
            answer = await asyncio.to_thread(urllib.request.urlopen, url)
            with answer:
                return cast(str, answer.read().decode())

    return {family.name: family for family in text_string_to_metric_families(asyncio.run(read()))}


def test_the_documentation_names_every_metric_and_no_other() -> None:
    families = page(Commits())
    shown = {name + ("_total" if family.type == "counter" else "") for name, family in families.items()}
    shown |= {family.name for family in WorkerMetrics({}).collect()}
    assert set(re.findall(r"^\| `(\w+)`", DOCS.read_text(), re.MULTILINE)) == shown


def test_decisions_that_have_not_come_yet_are_shown_as_none() -> None:
    samples = page(Commits())["authz_decisions"].samples
    assert {s.labels["effect"]: s.value for s in samples} == {"allow": 3, "hold": 1, "deny": 0, "refused": 0}


def test_commits_are_counted_in_the_bucket_of_their_time_and_in_all_above() -> None:
    commits = Commits()
    for seconds in (0.0005, 0.02, 0.02, 60.0):
        commits.add(seconds, 2)
    samples = page(commits)["authz_record_commit_seconds"].samples
    found = {s.labels.get("le", s.name): s.value for s in samples}
    assert [found[le] for le in ("0.001", "0.01", "0.025", "5.0", "+Inf")] == [1, 1, 3, 3, 4]
    assert found["authz_record_commit_seconds_count"] == 4
    assert found["authz_record_commit_seconds_sum"] == 60.0405
    assert page(commits)["authz_record_units"].samples[0].value == 8
