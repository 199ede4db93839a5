"""The bench runs end to end, on messages that it understands however they are cut."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from bench.cases import OWN
from bench.configuration import authz_yaml, without_gate
from bench.http1 import LAST_CHUNK, Message, chunk, with_length
from bench.plan import Shape

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


@pytest.mark.e2e
def test_a_small_run_measures_every_load_and_gets_no_wrong_answer(tmp_path: Path) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.md"
    command = [
        sys.executable,
        "-m",
        "bench",
        "--quick",
        "--no-postgres",
        "--json",
        str(figures),
        "--markdown",
        str(page),
    ]
    for load in ("large-16", "streamed-16", "paced-1"):
        command += ["--load", load]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path / "run")], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    turns = json.loads(figures.read_text())["turns"]
    assert {turn["case"] for turn in turns} == {"direct", "floor", "sqlite", "unmasked"}
    assert all(turn["requests"] > 0 and turn["wrong"] == 0 for turn in turns)
    assert all(turn["cpu"]["service"] > 0 for turn in turns if turn["case"] != "direct")
    assert all(turn["rss"]["envoy"] > 0 for turn in turns)
    assert all(turn["requests"] == 1 for turn in turns if turn["load"] == "paced-1")
    assert "of the floor's events/s" in page.read_text()
    for name in ("requests", "cpu", "first-text"):
        assert f"](page-{name}.svg)" in page.read_text()
        ElementTree.parse(tmp_path / f"page-{name}.svg")
    assert "| paced, one at a time" in done.stdout


@pytest.mark.e2e
@pytest.mark.postgres
def test_postgresql_and_several_workers_are_measured_without_being_asked_for(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "bench", "--quick", "--load", "streamed-16", "--json", str(figures)]
    done = subprocess.run(
        [*command, "--keep", str(tmp_path / "run")], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    turns = {turn["case"]: turn for turn in json.loads(figures.read_text())["turns"]}
    assert set(turns) == {case.name for case in OWN}
    assert all(turn["requests"] > 0 and turn["wrong"] == 0 for turn in turns.values())
    for case, workers in (("workers-2", 2), ("workers-4", 4)):
        cpu = turns[case]["cpu"]
        parts = ["keeper", *(f"worker {n}" for n in range(workers))]
        assert 0 < sum(cpu[part] for part in parts) <= cpu["service"] * 1.05
        assert all(turns[case]["rss"][part] > 0 for part in parts)
    assert all("keeper" not in turns[case]["cpu"] for case in ("sqlite", "postgresql"))
    assert "| worker 3 CPU µs" in done.stdout
    has_database = {case for case, turn in turns.items() if turn["cpu"].get("database", 0) > 0}
    assert has_database == {"postgresql", "workers-2", "workers-4"}
