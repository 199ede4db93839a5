"""A number is judged by the digits that its reader sees, however it is written, and masked as a whole."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.errors import Unreadable
from authz_service.framing.json_document import read_json
from authz_service.inspection.answer import answer_pipe
from authz_service.inspection.request import inspect_request
from authz_service.inspection.results import RequestInspection
from authz_service.masking.detectors import build_scanner
from authz_service.masking.json_numbers import said_by, written_out
from authz_service.masking.operators import Masks, by_type
from authz_service.masking.placeholders import EVERYWHERE
from authz_service.model_apis.registry import find_operation
from authz_service.view.request import RequestView

CARD = "4111111111111111"
LONG_CARD = "6251781286570704000"
AS_DECIMALS = [CARD + ".99999999999", "-" + CARD + ".99999999999", f"{CARD}.0", CARD + "0" * 100 + "e-100"]
AS_DOUBLES = [
    "4.111111111111111e15",
    "4.1111111111111110000000000000001e15",
    "4111111111111110.99999999999999",
    CARD + "0" * 100 + "e-100",
    "6251781286570704001",
    "62517812865707040.01e2",
]
WRITTEN = pytest.mark.parametrize("number", [*dict.fromkeys(AS_DECIMALS + AS_DOUBLES)])
SCANNER = build_scanner(["CREDIT_CARD"])
REVERSIBLE = Masks({"CREDIT_CARD": by_type}, {"CREDIT_CARD": EVERYWHERE})


def test_a_reader_has_a_card_in_each() -> None:
    for number in AS_DOUBLES:
        assert f"{Decimal(repr(float(number))):f}".removesuffix(".0") in (CARD, LONG_CARD)
    assert all(number.removeprefix("-").startswith(CARD) for number in AS_DECIMALS)


def asked(path: str, body: str, masks: frozenset[str] = SCANNER.entities) -> RequestInspection:
    found = find_operation("POST", path)
    assert found is not None
    api, operation = found
    return inspect_request(
        body.encode(),
        api=api,
        operation=operation,
        scanner=SCANNER,
        masked_entities=masks,
        models={"m": "m"},
        noise=(),
        max_depth=64,
    )


def answered(path: str, body: str, *, is_error: bool = False) -> tuple[Any, dict[str, int]]:
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
        is_error=is_error,
    )
    pipe.feed(body.encode())
    step = pipe.finish()
    return json.loads(step.release), dict(step.masked)


CHAT = '{"model": "m", "messages": [{"role": "user", "content": "x", "own": NUMBER}]}'


@WRITTEN
def test_of_a_number_with_a_card_no_reading_goes_out(number: str) -> None:
    inspected = asked("/v1/chat/completions", CHAT.replace("NUMBER", number))
    assert inspected.findings == inspected.masked == {"CREDIT_CARD": 1}
    assert json.loads(inspected.forward)["messages"][0]["own"] == "[CREDIT_CARD]"


@WRITTEN
def test_the_record_of_what_no_mask_asks_for_has_no_reading_either(number: str) -> None:
    inspected = asked("/v1/chat/completions", CHAT.replace("NUMBER", number), frozenset())
    assert inspected.forward == CHAT.replace("NUMBER", number).encode()
    assert json.loads(inspected.redacted)["messages"][0]["own"] == "[CREDIT_CARD]"


@WRITTEN
def test_a_placeholder_stands_for_the_number_and_comes_back_as_a_decimal(number: str) -> None:
    inspected = asked("/v1/chat/completions", CHAT.replace("NUMBER", number), REVERSIBLE)
    assert json.loads(inspected.forward)["messages"][0]["own"] == "<CREDIT_CARD_1>"
    assert inspected.placeholders is not None
    assert float(inspected.placeholders.by_name["<CREDIT_CARD_1>"].value) == float(number)


@WRITTEN
def test_a_number_of_a_tensor_is_masked_as_a_whole(number: str) -> None:
    tensor = '{"name": "i", "datatype": "INT64", "shape": [1], "data": [NUMBER]}'
    body = '{"inputs": [' + tensor.replace("NUMBER", number) + "]}"
    inspected = asked("/v2/models/m/infer", body)
    assert inspected.masked == {"CREDIT_CARD": 1}
    assert json.loads(inspected.forward)["inputs"][0]["data"] == ["[CREDIT_CARD]"]


def test_a_size_of_a_tensor_is_masked_as_a_whole() -> None:
    body = '{"inputs": [{"name": "i", "datatype": "BYTES", "shape": [NUMBER], "data": []}]}'
    inspected = asked("/v2/models/m/infer", body.replace("NUMBER", "6251781286570704001"))
    assert json.loads(inspected.forward)["inputs"][0]["shape"] == ["[CREDIT_CARD]"]


OLLAMA = '{"message": {"content": "", "tool_calls": [{"function": {"arguments": {"n": NUMBER}}}]}}'
ANTHROPIC = '{"type": "message", "content": [{"type": "tool_use", "name": "f", "input": {"n": NUMBER}}]}'


@WRITTEN
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", OLLAMA),
        ("/v1/messages", ANTHROPIC),
        ("/v1/chat/completions", '{"choices": [{"index": 0, "message": {"content": "x"}}], "own": NUMBER}'),
        ("/v1/responses", '{"object": "response", "output": [{"type": "x", "own": NUMBER}]}'),
        ("/v1/responses", '{"object": "response", "output": [{"type": "x", "input": {"n": NUMBER}}]}'),
    ],
)
def test_of_an_answer_no_reading_goes_out(path: str, body: str, number: str) -> None:
    released, masked = answered(path, body.replace("NUMBER", number))
    assert masked == {"CREDIT_CARD": 1}
    assert released == json.loads(body.replace("NUMBER", '"[CREDIT_CARD]"'))


@WRITTEN
def test_of_an_error_no_reading_goes_out(number: str) -> None:
    released, masked = answered("/v1/messages", f'{{"own": {number}}}', is_error=True)
    assert (released, masked) == ({"own": "[CREDIT_CARD]"}, {"CREDIT_CARD": 1})


@WRITTEN
def test_of_what_a_tool_is_called_with_no_reading_goes_out(number: str) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"n": ' + number + "}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    body = json.dumps({"choices": [{"index": 0, "message": message}]})
    released, masked = answered("/v1/chat/completions", body)
    assert masked == {"CREDIT_CARD": 1}
    called = released["choices"][0]["message"]["tool_calls"][0]["function"]
    assert called["arguments"] == '{"n": "[CREDIT_CARD]"}'


def test_a_number_where_a_response_has_the_text_of_a_part_is_refused() -> None:
    part = {"type": "output_text", "text": 41111111}
    item = {"type": "message", "id": "1", "content": [part, {"type": "output_text", "text": "11111111"}]}
    with pytest.raises(Unreadable, match="a string was expected"):
        answered("/v1/responses", json.dumps({"object": "response", "output": [item]}))


def test_a_number_that_is_read_in_one_way_is_said_once() -> None:
    assert written_out("4.1e3") == "4100"
    assert written_out("1.50") == "1.50"
    assert written_out("1e999999999") == "1e999999999"
    assert written_out("9" * 400) == "9" * 400
    assert written_out(CARD) == CARD
    assert written_out("-12345678901234567.5") == "-12345678901234567.5\n-12345678901234568"
    assert written_out("12345678901234567e0") == "12345678901234567\n12345678901234568"
    assert said_by(0.1) == "0.1"
    assert said_by(1.5e-300) == "1.5e-300"
    assert said_by(12) == "12"
    assert said_by(2.5e21) == "2500000000000000000000"


@pytest.mark.parametrize(
    ("number", "read"),
    [
        ("0.12345600000000000000000001e6", ["123456.00000000000000000001", "123456.0"]),
        ("1.23456e5", ["123456.0"]),
        ("52520008.40495400000000000001", ["52520008.40495400000000000001", "52520008.404954"]),
        ("13.40495400000000000001", ["13.40495400000000000001", "13.404954"]),
    ],
)
def test_a_number_is_read_as_a_decimal_and_as_a_double(number: str, read: list[str]) -> None:
    assert said_by(cast(float, read_json(number.encode(), max_depth=1))).split("\n") == read


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_as_a_double_is_printed_is_read_in_one_way(number: float) -> None:
    assert "\n" not in written_out(f"{Decimal(repr(number)):f}" if 1e-40 < abs(number) < 1e40 else "0")


@given(st.integers(-(10**15) + 1, 10**15 - 1), st.integers(-30, 30))
def test_a_number_of_fifteen_digits_is_read_in_one_way(digits: int, exponent: int) -> None:
    assert "\n" not in written_out(f"{digits}e{exponent}")
    assert "\n" not in written_out(f"{digits * 10 ** max(0, exponent)}")


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_that_doubles_hold_is_read_in_one_way(number: int) -> None:
    assert written_out(str(number)) == str(number)
