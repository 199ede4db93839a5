"""The bench runs end to end, on messages that it understands however they are cut."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.configuration import authz_yaml, without_gate
from bench.http1 import LAST_CHUNK, Message, chunk, with_length
from bench.plan import Case, Load, Shape
from bench.results import added, ratio
from bench.traffic import DELTAS, GIVEAWAY, PACED_DELTAS, SAW_NONE, completion, events, request_body
from bench.turn import Measured

from authz_service.cel.load import load_config
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.render import render
from authz_service.proxy.settings import envoy_settings
from authz_service.proxy.template import template_text

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(b"one") + chunk(b"two\n\n") + LAST_CHUNK


@pytest.mark.parametrize("message", [with_length(HEAD, b"body"), with_length(HEAD, b""), CHUNKED])
def test_a_message_is_whole_with_its_last_byte_however_it_is_cut(message: bytes) -> None:
    for cut in range(1, len(message)):
        came = Message()
        assert not came.add(message[:cut])
        assert came.add(message[cut:])


def test_each_answer_and_each_request_has_the_address_that_is_to_be_masked() -> None:
    assert GIVEAWAY in completion(SAW_NONE)
    for deltas in (DELTAS, PACED_DELTAS):
        stream = events(SAW_NONE, deltas=deltas)
        assert len(stream) == deltas + 3
        assert GIVEAWAY in b"".join(stream)
    assert all(GIVEAWAY in request_body(shape) for shape in Shape)


def test_the_direct_way_is_the_same_envoy_with_nothing_but_the_router(tmp_path: Path) -> None:
    file = tmp_path / "authz.yaml"
    file.write_text(authz_yaml(port=10000, model_port=8000, store="sqlite:///authz.db"))
    config = load_config(file).config
    assert len(config.models) == len(Shape)
    text = without_gate(render(template_text(), envoy_settings(config, DataDir.open(tmp_path / "data"))))
    assert "envoy.filters.http.router" in text
    assert "headers_with_underscores_action: REJECT_REQUEST" in text
    for filter_name in ("envoy.filters.http.ext_authz", "envoy.filters.http.ext_proc"):
        assert f"- name: {filter_name}" not in text


def test_cases_are_compared_round_by_round() -> None:
    load = Load(Shape.WHOLE, 1)
    turns = {
        (load, Case.DIRECT): [measured(100, 0.001), measured(10, 0.010)],
        (load, Case.FLOOR): [measured(50, 0.002), measured(5, 0.012)],
    }
    assert ratio(turns, load, Case.FLOOR, Case.DIRECT, lambda m: m.per_second) == 0.5
    assert added(turns, load, Case.FLOOR, Case.DIRECT, lambda m: m.p50) == pytest.approx(1.5)
    assert ratio(turns, load, Case.SQLITE, Case.DIRECT, lambda m: m.p50) is None


@pytest.mark.e2e
def test_a_small_run_measures_every_case_and_gets_no_wrong_answer(tmp_path: Path) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    command = [sys.executable, "-m", "bench", "--quick", "--load", "whole-16", "--load", "streamed-1"]
    command += ["--json", str(figures), "--markdown", str(page), "--keep", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    turns = json.loads(figures.read_text())["turns"]
    assert {turn["case"] for turn in turns} == {"direct", "floor", "sqlite"}
    assert all(turn["requests"] > 0 and turn["wrong"] == 0 for turn in turns)
    assert all(turn["cpu"]["service"] > 0 for turn in turns if turn["case"] != "direct")
    assert "of the floor's requests/s" in page.read_text()
    assert "| streamed, one at a time" in done.stdout


def measured(requests: int, p50: float) -> Measured:
    return Measured(
        requests, 0, seconds=1.0, p50=p50, p99=p50, first_event=p50, first_text=p50, cpu={"envoy": 0.0}
    )
