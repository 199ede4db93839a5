"""`authz policy` says what is wrong with a file, and what its rules decide."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from authz_service.commands.policy import command
from authz_service.config.starter import starter_text

CASES = r"""
cases:
  - name: staff may ask
    caller: {subject: alice, groups: [staff]}
    prompt: Good morning
    expect: {effect: allow, rule: staff, findings: {}}
  - name: contractors wait
    caller: {groups: [contractors, staff]}
    request: {model: demo, messages: [{role: user, content: "Write to bob@corp.example"}], temperature: 0.5}
    expect: {effect: hold, rule: contractors, findings: {EMAIL_ADDRESS: 1}}
  - name: nobody is nobody
    caller: {subject: eve}
    expect: {effect: deny, rule: default}
  - name: keys stay here
    caller: {groups: [staff]}
    prompt: |
      -----BEGIN RSA PRIVATE KEY-----
      MIIEpAIBAAKCAQEA
      -----END RSA PRIVATE KEY-----
    expect: {effect: deny, rule: no-private-keys, findings: {PRIVATE_KEY: 1}}
  - name: somebody whose groups may be missing, at night
    caller: {issuer: "https://elsewhere.example", groups: [staff], groups_complete: false, claims: {a: 1}}
    at: 2026-01-01T23:00:00Z
    expect: {effect: hold, rule: contractors}
  - name: an unknown model
    caller: {groups: [staff]}
    model: gpt-nothing
    expect: {effect: refused}
  - name: an answer
    caller: {groups: [staff]}
    answer: Write to bob@corp.example
    expect: {effect: allow, findings: {EMAIL_ADDRESS: 1}}
"""


@pytest.fixture
def starter(tmp_path: Path) -> Path:
    file = tmp_path / "authz.yaml"
    file.write_text(starter_text(model_url="http://127.0.0.1:8000"), encoding="utf-8")
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def parsed(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_good_file_is_one_line_with_the_policys_digest(starter: Path) -> None:
    result = run("check", starter)
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    digest = parsed(run("check", starter, "--json"))["digest"]
    assert digest in result.stdout


def test_three_mistakes_are_told_with_their_lines_and_the_exit_code_is_2(starter: Path) -> None:
    text = starter.read_text(encoding="utf-8")
    for old, new in (("caller.groups", "caller.grops"), ("wait: 3m", "wait: 3"), ("IBAN_CODE", "IBAN")):
        text = text.replace(old, new, 1)
    starter.write_text(text, encoding="utf-8")
    result = run("check", starter)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count(f"{starter}:") == 4
    faults = parsed(as_json := run("check", starter, "--json"))["faults"]
    assert as_json.exit_code == 2
    assert [text.splitlines()[fault["line"] - 1].strip()[:5] for fault in faults] == [
        "when:",
        "entit",
        "holds",
    ]
    assert run("test", starter, starter).exit_code == 2


def test_cases_are_judged_by_the_gateways_own_reading_and_detectors(starter: Path, tmp_path: Path) -> None:
    (tmp_path / "authz.cases.yaml").write_text(CASES, encoding="utf-8")
    result = run("test", starter)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "7 of 7 cases as expected"
    report = parsed(run("test", starter, "--json"))
    assert report["ok"]
    assert report["cases"][1]["effect"] == "hold"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("{effect: allow, rule: staff, findings: {}}", "{effect: deny}", "expected deny, came out as allow"),
        ("rule: contractors", "rule: staff", "expected the rule 'staff', decided by 'contractors'"),
        ("{EMAIL_ADDRESS: 1}}", "{EMAIL_ADDRESS: 2}}", "expected to find {'EMAIL_ADDRESS': 2}"),
        ("{effect: refused}", "{effect: allow}", "(model_not_found)"),
    ],
)
def test_a_case_that_comes_out_otherwise_fails_and_says_how(
    starter: Path, tmp_path: Path, old: str, new: str, problem: str
) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text(CASES.replace(old, new, 1), encoding="utf-8")
    result = run("test", starter, cases)
    assert result.exit_code == 1
    assert problem in result.stdout
    assert not parsed(run("test", starter, cases, "--json"))["ok"]


def test_a_rule_that_fails_is_named_with_its_error(starter: Path, tmp_path: Path) -> None:
    text = starter.read_text(encoding="utf-8").replace(
        "'staff' in caller.groups", "caller.claims.dept == 'x'"
    )
    starter.write_text(text, encoding="utf-8")
    cases = tmp_path / "cases.yaml"
    cases.write_text("cases: [{name: a, caller: {}, expect: {effect: deny, rule: staff}}]", encoding="utf-8")
    result = run("test", starter, cases)
    assert result.exit_code == 0
    assert "the rule staff failed: something that the condition reads is not there" in result.stdout


@pytest.mark.parametrize(
    "text",
    [
        "cases: []",
        "case: []",
        "cases: [{name: a, expect: {effect: allow}}]",
        "cases: [{name: a, caller: {}}]",
        "cases: [{name: a, caller: {}, expect: {effect: maybe}}]",
        "cases: [{name: a, caller: {}, expect: {effect: allow, because: x}}]",
        "cases: [{name: a, caller: {}, at: today, expect: {effect: allow}}]",
        "cases: [{name: a, caller: {}, at: 2026-01-01T00:00:00, expect: {effect: allow}}]",
        "cases: [{name: a, caller: {}, prompt: x, request: {messages: []}, expect: {effect: allow}}]",
        "cases: [{name: a, caller: {}, request: [], expect: {effect: allow}}]",
        "cases: [{name: a, caller: {}, request: {n: .inf}, expect: {effect: allow}}]",
        "5",
    ],
)
def test_a_faulty_file_of_cases_passes_nothing(starter: Path, tmp_path: Path, text: str) -> None:
    cases = tmp_path / "cases.yaml"
    cases.write_text(text, encoding="utf-8")
    result = run("test", starter, cases)
    assert result.exit_code == 2
    assert f"{cases}:1:" in result.stderr


def test_without_a_file_of_cases_the_next_step_is_named(starter: Path) -> None:
    result = run("test", starter)
    assert result.exit_code == 2
    assert "authz.cases.yaml" in result.stderr


def test_a_file_that_is_no_text_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "authz.yaml"
    file.write_bytes(b"version: 1\nx: \xff\n")
    result = run("check", file)
    assert result.exit_code == 2
    assert f"{file}:2:4: not UTF-8" in result.stderr


def _with(configuration: str, part: str) -> str:
    """The configuration with what another example adds to its sections."""
    yaml = YAML(typ="safe")
    whole = yaml.load(configuration)
    for name, section in yaml.load(part).items():
        known = whole.setdefault(name, {})
        known.update(section)
    text = io.StringIO()
    yaml.dump(whole, text)
    return text.getvalue()


def test_the_examples_of_the_manual_hold(tmp_path: Path) -> None:
    manual = Path(__file__).parents[2] / "docs" / "configuration.md"
    found = re.findall(r"```yaml\n(.*?)```", manual.read_text(encoding="utf-8"), re.DOTALL)
    configuration, *parts, cases = found
    (tmp_path / "authz.yaml").write_text(configuration, encoding="utf-8")
    for part in parts:
        (tmp_path / "part.yaml").write_text(_with(configuration, part), encoding="utf-8")
        checked = run("check", tmp_path / "part.yaml")
        assert checked.exit_code == 0, checked.output
    (tmp_path / "authz.cases.yaml").write_text(cases, encoding="utf-8")
    result = run("test", tmp_path / "authz.yaml")
    assert result.exit_code == 0, result.output
