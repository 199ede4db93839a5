"""A number is judged by the digits that its reader sees, however it is written."""

from __future__ import annotations

import json

import pytest

from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.request import inspect_request
from authz_service.masking.detectors import build_scanner
from authz_service.masking.grammar import said_by, written_out
from authz_service.model_apis.registry import find_operation
from authz_service.view.request import RequestView

CARD = "4111111111111111"
WRITTEN = pytest.mark.parametrize(
    "number",
    [
        "4.111111111111111e15",
        "4.1111111111111110000000000000001e15",
        "4111111111111110.99999999999999",
        CARD + "0" * 100 + "e-100",
    ],
)
SCANNER = build_scanner(["CREDIT_CARD"])


def answered(path: str, body: str) -> dict[str, int]:
    found = find_operation("POST", path)
    assert found is not None
    api, operation = found
    pipe = answer_pipe(
        api=api,
        request=RequestView(api.name, operation.name, "m", False, ()),
        content_type="application/json",
        scanner=SCANNER,
        masked_entities=SCANNER.entities,
        max_body=1 << 20,
        max_depth=64,
    )
    pipe.feed(body.encode())
    return dict(pipe.finish().masked)


@WRITTEN
def test_a_card_is_seen_in_every_way_to_write_it_as_a_number(number: str) -> None:
    assert f"{json.loads(number):.0f}" == CARD  # so a reader has it
    found = find_operation("POST", "/v1/chat/completions")
    assert found is not None
    api, operation = found
    body = '{"model": "m", "messages": [{"role": "user", "content": "x", "own": NUMBER}]}'
    inspected = inspect_request(
        body.replace("NUMBER", number).encode(),
        api=api,
        operation=operation,
        scanner=SCANNER,
        masked_entities=SCANNER.entities,
        models={"m": "m"},
        noise=(),
        max_depth=64,
    )
    assert inspected.findings == {"CREDIT_CARD": 1}
    assert "[CREDIT_CARD]" in json.loads(inspected.forward)["messages"][0]["own"]


@WRITTEN
def test_a_card_is_seen_in_what_a_tool_is_called_with(number: str) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"n": ' + number + "}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    said = json.dumps({"choices": [{"index": 0, "message": message}]})
    assert answered("/v1/chat/completions", said) == {"CREDIT_CARD": 1}
    called = '{"message": {"content": "", "tool_calls": [{"function": {"arguments": {"n": NUMBER}}}]}}'
    assert answered("/api/chat", called.replace("NUMBER", number)) == {"CREDIT_CARD": 1}
    block = '{"type": "message", "content": [{"type": "tool_use", "name": "f", "input": {"n": NUMBER}}]}'
    assert answered("/v1/messages", block.replace("NUMBER", number)) == {"CREDIT_CARD": 1}


def test_a_number_that_is_read_in_one_way_is_said_once() -> None:
    assert written_out("4.1e3") == "4100"
    assert written_out("1.50") == "1.50"
    assert written_out("1e999999999") == "1e999999999"
    assert written_out("-12345678901234567.5") == "-12345678901234567.5\n-12345678901234568"
    assert said_by(0.1) == "0.1"
    assert said_by(1.5e-300) == "1.5e-300"
    assert said_by(12) == "12"
    assert said_by(2.5e21) == "2500000000000000000000"
