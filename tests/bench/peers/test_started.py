"""Peers are started with the settings that the page tells of: a program in their place notes them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from bench.case import Gateway, Site
from bench.peers.cases import PEERS
from ruamel.yaml import YAML

from authz_service.proxy.probes import gateway_answers
from bench.peers import litellm, llm_shield_proxy

STAND_IN = """\
#!{python}
import http.server, json, os, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(401)
        self.send_header("content-length", "0")
        self.end_headers()
said = {{"arguments": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}}
with open(os.path.join(os.environ["HOME"], "said.json"), "w") as file:
    json.dump(said, file)
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""

Start = Callable[[Site], AbstractContextManager[Gateway]]


def started(
    peer: ModuleType, name: str, start: Start, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What the program was told that stands in for a peer's; it answers while it runs."""
    place = folder / "bin"
    place.mkdir()
    program = place / name
    program.write_text(STAND_IN.format(python=sys.executable))
    program.chmod(0o700)
    monkeypatch.setattr(peer, "binaries", lambda asked: {name: place}[asked])
    with start(Site(folder, model_port=8123, model_pid=1)) as gateway:
        assert gateway_answers("127.0.0.1", gateway.port, tls=False)
        assert set(gateway.pids) == {"model", "service"}
        assert gateway.token == "sk-bench"
    said: dict[str, Any] = json.loads((folder / "said.json").read_text())
    assert said["folder"] == str(folder)
    return said


def option(said: dict[str, Any], name: str) -> str:
    arguments: list[str] = said["arguments"]
    return arguments[arguments.index(name) + 1]


@pytest.mark.parametrize("is_filtering", [True, False])
def test_litellm_is_one_worker_in_front_of_the_same_model_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_filtering: bool
) -> None:
    start = partial(litellm.litellm, is_filtering=is_filtering)
    said = started(litellm, "litellm", start, tmp_path, monkeypatch)
    assert option(said, "--num_workers") == "1"
    assert option(said, "--telemetry") == "False"
    assert said["environment"]["LITELLM_LOG"] == "ERROR"
    config = YAML(typ="safe").load(Path(option(said, "--config")).read_text())
    assert config["model_list"][0]["litellm_params"]["api_base"] == "http://127.0.0.1:8123/v1"
    assert config["general_settings"]["master_key"] == "sk-bench"
    assert ("guardrails" in config) is is_filtering


def test_llm_shield_proxy_is_one_worker_that_masks_both_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = started(
        llm_shield_proxy, "llm-shield-proxy", llm_shield_proxy.llm_shield_proxy, tmp_path, monkeypatch
    )
    assert option(said, "--workers") == "1"
    environment = said["environment"]
    assert environment["UPSTREAM_BASE_URL"] == "http://127.0.0.1:8123"
    assert environment["VALID_VIRTUAL_KEYS"] == "sk-bench"
    assert environment["ENABLE_RESPONSE_PII_REDACTION"] == "true"
    assert environment["SHIELD_DEFAULT_MASKING_MODE"] == "SCRUB"
    assert {environment["ENABLE_AGENT_BREAKER"], environment["ANONYMOUS_USAGE_TRACKING"]} == {"false"}


def test_these_are_all_the_peers() -> None:
    assert {case.name.partition("-")[0] for case in PEERS} == {"litellm", "llm"}
