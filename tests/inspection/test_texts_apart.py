"""Each text of an answer has a channel of its own, whatever keys and names stand in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from authz_service.errors import Unreadable
from authz_service.inspection.answer import answer_pipe
from authz_service.masking.detectors import build_scanner
from authz_service.model_apis.openai_responses_answer import ResponsesAnswerReader
from authz_service.model_apis.openai_responses_places import Places
from authz_service.model_apis.openai_responses_runs import Runs
from authz_service.model_apis.registry import find_operation
from authz_service.view.request import RequestView

CARD = "4111111111111111"
HALVES = ("4111 1111 ", "1111 1111")
SCANNER = build_scanner(["CREDIT_CARD"])
V2 = "/v2/models/m"


def answered(path: str, *documents: Any, is_streamed: bool = True) -> str:
    found = find_operation("POST", path)
    assert found is not None
    api, operation = found
    pipe = answer_pipe(
        api=api,
        request=RequestView(api.name, operation.name, "m", is_streamed, ()),
        content_type="text/event-stream" if is_streamed else "application/json",
        scanner=SCANNER,
        masked_entities=SCANNER.entities,
        max_body=1 << 20,
        max_depth=64,
    )
    frame = "data: {}\n\n" if is_streamed else "{}"
    body = "".join(frame.format(json.dumps(document)) for document in documents).encode()
    return b"".join(step.release for step in (pipe.feed(body), pipe.finish())).decode()


def response(**item: Any) -> dict[str, Any]:
    return {"object": "response", "output": [{"type": "message", "id": "i"} | item]}


def own_delta(**said: Any) -> dict[str, Any]:
    return {"type": "response.own.delta", "item_id": "i", "output_index": 0} | said


PARTS = [{"type": "output_text", "text": half} for half in HALVES]


def test_two_texts_of_a_delta_are_two_whatever_their_keys() -> None:
    assert CARD not in answered("/v1/responses", own_delta(delta={"a/b": "1", "a": {"b": CARD}}))


def test_two_indexes_of_the_same_value_are_two_places() -> None:
    events = own_delta(delta="1", a_index=0), own_delta(delta=CARD, b_index=0)
    assert CARD not in answered("/v1/responses", *events)


def test_two_tensors_are_two_texts_whatever_their_names() -> None:
    tensors = [
        {"name": "a", "datatype": "BYTES", "shape": [1, 1], "data": [["1"]]},
        {"name": "a/0", "datatype": "BYTES", "shape": [1], "data": [CARD]},
    ]
    assert CARD not in answered(f"{V2}/infer", {"model_name": "m", "outputs": tensors}, is_streamed=False)


def test_a_key_that_looks_like_the_place_of_a_part_does_not_tell_it() -> None:
    item = {"content/0/text": "x", "content": PARTS}
    assert "1111" not in answered("/v1/responses", response(**item), is_streamed=False)


@pytest.mark.parametrize(
    "delta",
    [
        {"type": "content/0/text.delta", "delta": "x"},
        {"type": "content.delta", "content_index": 0, "delta": {"text": "x"}},
    ],
)
def test_a_delta_of_a_kind_that_looks_like_the_place_of_a_part_does_not_tell_it(
    delta: dict[str, Any],
) -> None:
    last = {"type": "response.completed", "response": response(content=PARTS)}
    assert "1111" not in answered("/v1/responses", own_delta(**delta), last)


def test_a_delta_of_several_texts_goes_on_whatever_stands_beside_them() -> None:
    events = [own_delta(delta={"n": half, "tokens": [5], "logprobs": None}) for half in HALVES]
    released = answered("/v1/responses", *events)
    assert "1111" not in released
    assert released.count('"tokens": null') == 2


def test_a_part_that_stands_under_a_key_instead_of_in_a_list_is_refused() -> None:
    with pytest.raises(Unreadable, match="a list of parts was expected"):
        answered("/v1/responses", response(content={"0": {"text": "x"}}), is_streamed=False)


def test_a_choice_is_said_once_in_an_event_since_many_read_the_first_only() -> None:
    choices = [{"index": 0, "delta": {"content": text}} for text in (HALVES[0], "x")]
    with pytest.raises(Unreadable, match="two have the same index"):
        answered("/v1/chat/completions", {"choices": choices})


@pytest.mark.parametrize(
    "frames",
    [
        [[half, "so"] for half in HALVES],
        [["so", half] for half in HALVES],
        [[["so"], [half]] for half in HALVES],
        [HALVES[0], [HALVES[1]]],
        [[{"text": half}] for half in HALVES],
        [{"text": half} for half in HALVES],
    ],
)
def test_the_texts_of_a_list_of_outputs_go_on(frames: list[Any]) -> None:
    events = [{"model_name": "m", "text_output": said} for said in frames]
    assert "1111" not in answered(f"{V2}/generate_stream", *events)


def test_each_text_of_a_list_of_outputs_is_one() -> None:
    assert CARD not in answered(f"{V2}/generate_stream", {"text_output": [["1", CARD], [CARD]]})


@pytest.mark.parametrize("first", [[["x"], ["4111 1111 "]], [["x", "y"], "4111 1111 "]])
@pytest.mark.parametrize("then", [[[], ["1111 1111"]], ["z", "1111 1111"], [[4111], ["1111 1111"]]])
def test_an_output_goes_on_in_its_place_whatever_stands_before_it(first: Any, then: Any) -> None:
    events = [{"model_name": "m", "text_output": said} for said in (first, then)]
    assert "1111 1111" not in answered(f"{V2}/generate_stream", *events)


def test_outputs_of_a_list_and_of_one_in_it_are_two_texts() -> None:
    assert CARD not in answered(f"{V2}/generate_stream", {"text_output": [["x", "1"], CARD]})


def test_a_list_of_numbers_among_outputs_is_cleared() -> None:
    assert '[null, "so"]' in answered(f"{V2}/generate_stream", {"text_output": [[4111], "so"]})


START = {"type": "message_start", "message": {"type": "message", "role": "assistant", "content": []}}


def begun(**block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": 0, "content_block": {"type": "text"} | block}


@pytest.mark.parametrize(
    ("path", "documents"),
    [
        ("/v1/messages", [START, begun(text=41111111)]),
        ("/v1/messages", [START, begun(text=["4111 1111 "])]),
        ("/v1/messages", [START, begun(type="thinking", thinking=41111111)]),
        (f"{V2}/generate_stream", [{"text_output": 41111111}]),
        (f"{V2}/generate_stream", [{"text_output": ["so", True]}]),
    ],
)
def test_what_is_no_text_in_the_place_of_one_is_refused(path: str, documents: list[Any]) -> None:
    with pytest.raises(Unreadable, match="a string was expected"):
        answered(path, *documents)


def test_a_number_in_the_place_of_a_whole_text_is_refused() -> None:
    blocks = [{"type": "text", "text": text} for text in (41111111, "11111111")]
    with pytest.raises(Unreadable, match="a string was expected"):
        answered("/v1/messages", {"type": "message", "content": blocks}, is_streamed=False)


@pytest.mark.parametrize(
    ("path", "documents"),
    [
        ("/v1/messages", [START, begun(text=None)]),
        (f"{V2}/generate_stream", [{"model_name": "m", "text_output": None}]),
    ],
)
def test_null_in_the_place_of_a_text_says_nothing(path: str, documents: list[Any]) -> None:
    assert answered(path, *documents).count("data: ") == len(documents)


def test_many_parts_of_a_response_are_not_each_compared_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way: list[Any] = []
    join = Runs.join

    def joined(self: Runs, place: str, texts: Any) -> str | None:
        under_way.append(texts)
        return join(self, place, texts)

    monkeypatch.setattr(Runs, "join", joined)
    parts = [{"type": "output_text", "text": "so "} for _ in range(100)]
    ResponsesAnswerReader().read(response(content=parts))
    assert len(under_way) == len(parts)
    assert all(texts is under_way[0] for texts in under_way), "a copy for each part"


def test_the_end_of_an_item_is_not_looked_for_among_all_items(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    class Place(str):
        __slots__ = ()

        def startswith(self, *begins: Any) -> bool:
            nonlocal compared
            compared += 1
            return str.startswith(self, *begins)

    go_on = Places.go_on
    monkeypatch.setattr(Places, "go_on", lambda self, place, texts: go_on(self, Place(place), texts))
    reader = ResponsesAnswerReader()
    names = [f"i{n}" for n in range(100)]
    for what in ("added", "done"):
        for name in names:
            item = {"type": "function_call", "id": name, "arguments": "so"}
            reader.read({"type": f"response.output_item.{what}", "item": item})
    assert compared == len(names)
