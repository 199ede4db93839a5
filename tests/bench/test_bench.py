"""The bench runs end to end, on messages that it understands however they are cut."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn
from xml.etree import ElementTree

import pytest
from bench.case import Case
from bench.cases import ON_POSTGRESQL, OWN
from bench.configuration import authz_yaml, without_gate
from bench.http1 import LAST_CHUNK, Message, chunk, with_length
from bench.plan import Plan, Shape
from click.testing import CliRunner

from authz_service.cel.load import load_config
from authz_service.keys.data_dir import DataDir
from authz_service.proxy.render import render
from authz_service.proxy.settings import envoy_settings
from authz_service.proxy.template import template_text
from bench import __main__ as bench_command


@dataclass(frozen=True, slots=True)
class SmallRun:
    """What a run of the bench measured, wrote and printed."""

    turns: Sequence[Mapping[str, Any]]
    page: Path
    said: str


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


@pytest.mark.parametrize(("option", "without"), [("--no-postgres", ON_POSTGRESQL), ("--postgres", ())])
def test_postgresql_is_left_out_when_asked_so(
    option: str, without: Sequence[Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[Plan] = []

    def planned(plan: Plan, _: Path | None) -> NoReturn:
        plans.append(plan)
        sys.exit("planned")

    monkeypatch.setattr(bench_command, "_carry_out", planned)
    CliRunner().invoke(bench_command.main, ["--quick", "--load", "streamed-16", option])
    (plan,) = plans
    assert plan.cases == tuple(case for case in OWN if case not in without)


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> SmallRun:
    """One short round of three loads, on everything that is measured without being asked for."""
    folder = tmp_path_factory.mktemp("bench")
    figures, page = folder / "figures.json", folder / "page.md"
    command = [sys.executable, "-m", "bench", "--quick", "--json", str(figures), "--markdown", str(page)]
    for load in ("large-16", "streamed-16", "paced-1"):
        command += ["--load", load]
    command += ["--keep", str(folder / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return SmallRun(json.loads(figures.read_text())["turns"], page, done.stdout)


@pytest.mark.e2e
@pytest.mark.postgres
def test_a_small_run_measures_every_load_and_gets_no_wrong_answer(small_run: SmallRun) -> None:
    turns = small_run.turns
    assert {turn["case"] for turn in turns} == {case.name for case in OWN}
    assert all(turn["requests"] > 0 and turn["wrong"] == 0 for turn in turns)
    assert all(turn["cpu"]["service"] > 0 for turn in turns if turn["case"] != "direct")
    assert all(turn["rss"]["envoy"] > 0 for turn in turns)
    assert all(turn["requests"] == 1 for turn in turns if turn["load"] == "paced-1")
    assert "of the floor's events/s" in small_run.page.read_text()
    for name in ("requests", "cpu", "first-text"):
        assert f"](page-{name}.svg)" in small_run.page.read_text()
        ElementTree.parse(small_run.page.with_name(f"page-{name}.svg"))
    assert "| paced, one at a time" in small_run.said


@pytest.mark.e2e
@pytest.mark.postgres
def test_postgresql_and_several_workers_are_measured_without_being_asked_for(small_run: SmallRun) -> None:
    turns = {turn["case"]: turn for turn in small_run.turns if turn["load"] == "streamed-16"}
    assert set(turns) == {case.name for case in OWN}
    for case, workers in (("workers-2", 2), ("workers-4", 4)):
        cpu = turns[case]["cpu"]
        parts = ["keeper", *(f"worker {n}" for n in range(workers))]
        assert 0 < sum(cpu[part] for part in parts) <= cpu["service"] * 1.05
        assert all(turns[case]["rss"][part] > 0 for part in parts)
    assert all("keeper" not in turns[case]["cpu"] for case in ("sqlite", "postgresql"))
    assert "| worker 3 CPU µs" in small_run.said
    has_database = {case for case, turn in turns.items() if turn["cpu"].get("database", 0) > 0}
    assert has_database == {"postgresql", "workers-2", "workers-4"}
