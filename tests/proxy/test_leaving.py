"""How long a process that leaves has to answer on follows from how often Envoy asks for its health."""

from __future__ import annotations

from pathlib import Path

import pytest

from authz_service.keys.data_dir import DataDir
from authz_service.proxy.leaving import SPARE, left_out_within
from authz_service.proxy.template import template_text

CHECKED = "interval: 3s, no_traffic"


@pytest.mark.parametrize(
    ("tuned", "seconds"),
    [
        ("interval: 3s, no_traffic", 3.0),
        ("interval: 500ms, no_traffic", 0.5),
        ("interval: 10s, interval_jitter: 1s, no_traffic", 11.0),
        ("interval: often, no_traffic", 3.0),
    ],
)
def test_the_file_that_envoy_runs_with_says_how_often_it_asks(
    tmp_path: Path, tuned: str, seconds: float
) -> None:
    data = DataDir.open(tmp_path / "data")
    text = template_text()
    assert CHECKED in text
    data.envoy_config.write_text(text.replace(CHECKED, tuned))
    assert left_out_within(data) == pytest.approx(seconds + SPARE)


def test_without_a_file_it_is_what_is_rendered(tmp_path: Path) -> None:
    assert left_out_within(DataDir.open(tmp_path / "data")) == pytest.approx(3.0 + SPARE)


def test_an_envoy_that_asks_nobody_is_given_as_long(tmp_path: Path) -> None:
    data = DataDir.open(tmp_path / "data")
    data.envoy_config.write_text("static_resources: {clusters: [{name: authz_service}]}")
    assert left_out_within(data) == pytest.approx(3.0 + SPARE)
