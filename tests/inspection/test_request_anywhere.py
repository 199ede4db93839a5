"""Whatever a request has, and wherever: a value in it is masked, noted as unread, or refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.inspection.anywhere import MARKS, changed

from authz_service.errors import Unreadable
from authz_service.inspection.request import inspect_request
from authz_service.masking.detectors import build_scanner
from authz_service.model_apis.registry import find_operation

WIRE = Path(__file__).parents[1] / "model_apis" / "wire"
SCANNER = build_scanner(["CREDIT_CARD", "EMAIL_ADDRESS"])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/chat/completions", "openai_request_everything.json"),
        ("/v1/messages", "anthropic_request_everything.json"),
        ("/v1/responses", "responses_request_everything.json"),
    ],
)
def test_no_value_goes_by_wherever_it_stands(path: str, name: str) -> None:
    found = find_operation("POST", path)
    assert found is not None
    api, operation = found
    body = json.loads((WIRE / name).read_text())
    passed = 0
    for where, other in changed(body):
        if where == ("seed",):  # it may be any number
            continue
        try:
            read = inspect_request(
                json.dumps(other).encode(),
                api=api,
                operation=operation,
                scanner=SCANNER,
                masked_entities=SCANNER.entities,
                models={body["model"]: "llama"},
                noise=[],
                max_depth=64,
            )
        except Unreadable:
            continue
        passed += 1
        assert read.view.unread or not any(mark in read.forward for mark in MARKS), where
    assert passed > 500
