"""What a configuration's masks become."""

from __future__ import annotations

from pathlib import Path

import pytest

from authz_service.app import rules_of
from authz_service.cel.load import load_config
from authz_service.config.read import Loaded
from authz_service.masking.finding import Finding
from authz_service.masking.operators import Masks

CONFIG = """\
version: 1
models: [{name: llama, url: "http://127.0.0.1:8000"}]
masks:
  - {name: a, in: [requests, answers], entities: [US_SSN], with: partial}
  - {name: b, in: [requests], entities: [EMAIL_ADDRESS]}
  - {name: c, in: [answers], entities: [EMAIL_ADDRESS], with: hash}
detectors:
  - {name: EMAIL_ADDRESS, allow: [info@example.com]}
  - {name: EMPLOYEE_ID, pattern: 'E-\\d{6}', context: [employee]}
"""


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    (tmp_path / "authz.yaml").write_text(CONFIG)
    return load_config(tmp_path / "authz.yaml")


def _said(masks: Masks) -> dict[str, str]:
    return {entity: masks.replacement(Finding(entity, 0, 9, value="123456789")) for entity in masks}


def test_masks_replace_in_their_direction_with_their_operator(loaded: Loaded) -> None:
    rules = rules_of(loaded, bytes(32))
    assert _said(rules.request_masks) == {"US_SSN": "[US_SSN:6789]", "EMAIL_ADDRESS": "[EMAIL_ADDRESS]"}
    answers = _said(rules.answer_masks)
    assert answers["US_SSN"] == "[US_SSN:6789]"
    assert answers["EMAIL_ADDRESS"] == _said(rules_of(loaded, bytes(32)).answer_masks)["EMAIL_ADDRESS"]
    assert answers["EMAIL_ADDRESS"] != _said(rules_of(loaded, bytes(31) + b"1").answer_masks)["EMAIL_ADDRESS"]
    assert len(answers["EMAIL_ADDRESS"]) == len("[EMAIL_ADDRESS:abcdefghijklmnop]")


def test_masks_that_hash_need_a_key(loaded: Loaded) -> None:
    with pytest.raises(ValueError, match="at least 32 bytes"):
        rules_of(loaded)


def test_detectors_are_those_of_the_file_with_its_options(loaded: Loaded) -> None:
    scanner = rules_of(loaded, bytes(32)).scanner
    found = scanner.scan("info@example.com jane@example.com E-123456 employee E-123457")
    assert [finding.value for finding in found] == ["jane@example.com", "E-123457"]
