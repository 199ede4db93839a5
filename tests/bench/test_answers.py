"""An answer of the bench is right only when nothing of the address or the card crossed, and nothing else
was changed."""

from __future__ import annotations

import pytest
from bench.answers import Expected, Fault
from bench.plan import Shape
from bench.traffic import (
    ADDRESS,
    CARD,
    DELTAS,
    EVENTS,
    GIVEAWAYS,
    SAW_NONE,
    SAW_SECRET,
    completion,
    events,
    request_body,
    text,
    tokens,
)

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
MASKED = text(Shape.WHOLE).replace(ADDRESS, "[EMAIL_ADDRESS]").replace(CARD, "[CREDIT_CARD]")
ONE_FAULT = [
    (MASKED.replace("[EMAIL_ADDRESS]", ADDRESS), Fault.CLIENT_SAW),
    (MASKED.replace("[CREDIT_CARD]", CARD), Fault.CLIENT_SAW),
    (MASKED.replace("[CREDIT_CARD]", ""), Fault.ALTERED),
    (MASKED.replace("Thursday", "Thu"), Fault.ALTERED),
    (MASKED.replace("What you have paid", ""), Fault.ALTERED),
    (MASKED[:-1], Fault.ALTERED),
    (MASKED[1:], Fault.ALTERED),
    ("", Fault.ALTERED),
]


def test_each_request_and_each_answer_has_an_address_and_a_card() -> None:
    for shape in Shape:
        for secret in (ADDRESS, CARD):
            assert text(shape).count(secret) == 1
            assert request_body(shape).count(secret.encode()) == 1
    assert all(any(giveaway in secret.encode() for secret in (ADDRESS, CARD)) for giveaway in GIVEAWAYS)


def test_requests_and_answers_have_the_sizes_that_the_page_names() -> None:
    assert 950 <= len(request_body(Shape.LARGE)) <= 1100
    assert 600 <= len(completion(SAW_NONE, Shape.WHOLE)) <= 800
    assert 10_200 <= len(completion(SAW_NONE, Shape.LARGE)) <= 10_280
    assert len(tokens()) == DELTAS
    assert len(events(SAW_NONE)) == EVENTS


def test_a_masked_answer_is_right_however_its_text_is_cut() -> None:
    expected = Expected(Shape.STREAMED, is_masked=True)
    for size in (1, 7, len(MASKED)):
        assert not expected.faults(streamed(MASKED, size))


@pytest.mark.parametrize("shape", [Shape.WHOLE, Shape.LARGE])
def test_a_whole_answer_is_right_when_both_are_masked(shape: Shape) -> None:
    answer = HEAD + completion(SAW_NONE, shape)
    assert Expected(shape, is_masked=True).faults(answer) == {Fault.CLIENT_SAW}
    masked = answer.replace(ADDRESS.encode(), b"<EMAIL>").replace(CARD.encode(), b"****")
    assert not Expected(shape, is_masked=True).faults(masked)


@pytest.mark.parametrize(("said", "fault"), ONE_FAULT)
@pytest.mark.parametrize("size", [1, 1000])
def test_every_way_to_be_wrong_has_its_name_however_the_text_is_cut(
    said: str, fault: Fault, size: int
) -> None:
    assert Expected(Shape.PACED, is_masked=True).faults(streamed(said, size)) == {fault}


def test_a_model_that_saw_the_prompt_s_address_is_a_fault_of_its_own() -> None:
    answer = streamed(MASKED, 5, SAW_SECRET)
    assert Expected(Shape.PACED, is_masked=True).faults(answer) == {Fault.MODEL_SAW}


def test_an_error_and_a_stream_without_an_end_have_failed() -> None:
    expected = Expected(Shape.STREAMED, is_masked=True)
    assert expected.faults(b"HTTP/1.1 503 Service Unavailable\r\n\r\n") == {Fault.FAILED}
    assert expected.faults(streamed(MASKED, 5).replace(b"[DONE]", b"")) == {Fault.FAILED}


def test_what_nobody_masks_must_arrive_as_it_is() -> None:
    clear = Expected(Shape.WHOLE, is_masked=False)
    assert not clear.faults(HEAD + completion(SAW_SECRET, Shape.WHOLE))
    assert clear.faults(HEAD + completion(SAW_NONE, Shape.WHOLE)) == {Fault.ALTERED}
    assert clear.faults(HEAD + b"{}") == {Fault.ALTERED}


def streamed(said: str, size: int, fingerprint: str = SAW_NONE) -> bytes:
    pieces = [said[start : start + size] for start in range(0, len(said), size)]
    deltas = "".join(f'data: {{"content":"{piece}"}}\n\n' for piece in pieces)
    return HEAD + f"{fingerprint}\n\n{deltas}data: [DONE]\n\n".encode()
