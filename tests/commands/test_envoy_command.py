"""`authz envoy` shows the file that would run, and says what is wrong with another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from authz_service.commands.envoy import command
from authz_service.config.starter import starter_text
from authz_service.errors import Misconfigured
from authz_service.proxy.validate import validate

pytestmark = pytest.mark.e2e


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "authz.yaml"
    path.write_text(starter_text(model_url="http://127.0.0.1:8000", models=["llama", "qwen"]))
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments])


def rendered(config: Path, *options: str | Path) -> Result:
    return run("render", "--config", config, "--data-dir", config.parent / "data", *options)


def test_render_prints_a_file_that_validates(config: Path) -> None:
    result = rendered(config)
    assert result.exit_code == 0, result.output
    assert "model/llama" in result.stdout
    assert "model/qwen" in result.stdout
    assert validate(result.stdout) == []


def test_render_writes_a_file_for_this_user_only(config: Path) -> None:
    target = config.parent / "out.yaml"
    assert rendered(config, "-o", target).exit_code == 0
    assert target.stat().st_mode & 0o077 == 0
    assert run("validate", target).exit_code == 0


def test_render_fills_in_a_file_that_was_tuned(config: Path) -> None:
    tuned = config.parent / "tuned.yaml"
    tuned.write_text(
        rendered(config).stdout.replace("stream_flush_timeout: 60s", "stream_flush_timeout: 61s")
    )
    assert "stream_flush_timeout: 61s" in rendered(config, "--envoy-file", tuned).stdout


def test_render_refuses_a_file_that_opens_the_gate(config: Path) -> None:
    opened = config.parent / "opened.yaml"
    text = rendered(config).stdout.replace("allow_mode_override: false", "allow_mode_override: true")
    opened.write_text(text)
    result = rendered(config, "--envoy-file", opened)
    assert isinstance(result.exception, Misconfigured)
    assert "mode_override" in str(result.exception)


def test_validate_names_every_fault_with_its_line(config: Path) -> None:
    opened = config.parent / "opened.yaml"
    text = rendered(config).stdout
    text = text.replace("allow_mode_override: false", "allow_mode_override: true")
    text = text.replace("validate_mutations: true", "validate_mutations: false")
    opened.write_text(text)
    result = run("validate", opened)
    assert result.exit_code == 2
    assert "(mode_override)" in result.stderr
    assert "(mutation_rules)" in result.stderr
    objects = json.loads(run("validate", opened, "--json").stdout)
    assert {fault["code"] for fault in objects} == {"mode_override", "mutation_rules"}
    lines = text.splitlines()
    assert all(fault["where"].rpartition(".")[2] in lines[fault["line"] - 1] for fault in objects)


def test_validate_says_so_when_nothing_is_wrong(config: Path) -> None:
    target = config.parent / "out.yaml"
    rendered(config, "-o", target)
    assert "every way to a model" in run("validate", target).stdout
    assert json.loads(run("validate", target, "--json").stdout) == []


def test_render_without_a_configuration_names_the_next_step(tmp_path: Path) -> None:
    result = run("render", "--data-dir", tmp_path / "data")
    assert isinstance(result.exception, Misconfigured)
    assert "--config" in str(result.exception)
