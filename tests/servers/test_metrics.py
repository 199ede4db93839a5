"""The page of metrics has what the documentation names, and no more; nothing of a request is in it."""

from __future__ import annotations

import asyncio
import re
import urllib.error
import urllib.request
from pathlib import Path

from tests.servers.metrics_page import Probes, page

from authz_service.runtime.gateway import Took
from authz_service.servers.metrics import serve_metrics
from authz_service.servers.worker_metrics import WorkerMetrics
from authz_service.store.writer import Commits

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"


def test_the_documentation_names_every_metric_and_no_other() -> None:
    families = page(Commits()) | {family.name: family for family in WorkerMetrics({}, {}).collect()}
    shown = {name + ("_total" if family.type == "counter" else "") for name, family in families.items()}
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


def test_a_record_that_cannot_be_written_to_is_shown_as_away_and_the_page_is_whole() -> None:
    for is_away, shown in ((False, 1), (True, 0)):
        families = page(Commits(), is_away=is_away)
        assert [sample.value for sample in families["authz_record_up"].samples] == [shown]
        assert "authz_record_backlog" in families


def test_added_time_is_shown_by_phase() -> None:
    took = Took()
    took.answer_end.add(0.003)
    samples = page(Commits(), took)["authz_added_seconds"].samples
    counts = {s.labels["phase"]: s.value for s in samples if s.name.endswith("_count")}
    assert counts == {"check": 0, "request": 0, "answer_start": 0, "answer_end": 1}


def test_values_that_were_masked_are_shown_by_side_and_entity_type() -> None:
    (sample,) = page(Commits())["authz_masked"].samples
    assert (sample.labels, sample.value) == ({"side": "answer", "entity": "EMAIL_ADDRESS"}, 2)


def test_names_and_units_follow_the_conventions() -> None:
    for name, family in page(Commits()).items():
        assert re.fullmatch(r"authz(_[a-z]+)+", name)
        assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_milliseconds", "_ms")), name
        assert family.documentation.endswith("."), name
        if family.type == "histogram":
            assert name.endswith("_seconds"), name


def test_probes_are_answered_with_the_status_that_orchestrators_read() -> None:
    async def asked() -> dict[str, tuple[int, bytes]]:
        async with serve_metrics(("127.0.0.1", 0), [], Probes()) as url:
            base = url.removesuffix("/metrics")
            return {path: await asyncio.to_thread(_get, base + path) for path in ("/live", "/ready")}

    found = asyncio.run(asked())
    assert found["/live"] == (200, b'{"live":true}')
    assert found["/ready"] == (503, b'{"ready":false,"why":"store_unavailable"}')


def _get(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()
