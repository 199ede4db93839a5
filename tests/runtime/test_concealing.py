"""What is concealed is what the detectors in force find, and without them nothing is shown."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest
from tests.servers.concealed_desk import CONFIG, Failing, chat, rules_in
from tests.servers.review_made import make_hold

from authz_service.core.acts import AnswerHead
from authz_service.errors import Unreadable
from authz_service.runtime.concealing import NOT_READ, Concealing
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import Threads

ENTITIES = frozenset({"EMAIL_ADDRESS"})
CARDS = "{name: CREDIT_CARD, context: [card], within: 30, threshold: 0.9, allow: [4242 4242 4242 4242]}"
HOLD = make_hold(body=chat("Please write to ann@mail.example about it.", "Thanks."))


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    return rules_in(tmp_path)


def concealing(rules: Rules) -> Concealing:
    return Concealing(lambda: rules, Threads())


def test_values_that_an_editor_adds_are_refused_whatever_they_are(rules: Rules) -> None:
    by = concealing(rules)
    shown = asyncio.run(by.seen(HOLD, ENTITIES)).hold.forward
    for guess in ("ann@mail.example", "bob@mail.example"):
        edited = shown.replace(b"Thanks.", f"To {guess} too.".encode())
        with pytest.raises(Unreadable, match="something else would be concealed") as caught:
            asyncio.run(by.body(HOLD, edited, ENTITIES))
        assert caught.value.code == "edit_concealed"
    other = asyncio.run(by.body(HOLD, shown.replace(b"Thanks.", b"Bye."), ENTITIES))
    assert json.loads(other) == json.loads(HOLD.forward.replace(b"Thanks.", b"Bye."))


def test_no_part_of_a_message_is_edited_beside_one_that_has_something_concealed(rules: Rules) -> None:
    by = concealing(rules)
    said = ("Please write to ann@mail.example", " about it.")
    parts = [{"type": "text", "text": text} for text in said]
    messages = [{"role": "user", "content": parts}, {"role": "user", "content": "Thanks."}]
    hold = make_hold(body=json.dumps({"model": "llama", "messages": messages}).encode())
    shown = asyncio.run(by.seen(hold, ENTITIES)).hold.forward
    for old, new in (
        (b" about it.", b" about that."),
        (
            b'{"type": "text", "text": " about it."}',
            b'{"type": "text", "text": "."}, {"type": "text", "text": "x"}',
        ),
        (b', {"type": "text", "text": " about it."}', b""),
    ):
        with pytest.raises(Unreadable, match="stays as it is in all others"):
            asyncio.run(by.body(hold, shown.replace(old, new), ENTITIES))
    assert b"Bye." in asyncio.run(by.body(hold, shown.replace(b"Thanks.", b"Bye."), ENTITIES))


def test_what_may_be_written_between_two_parts_does_not_depend_on_what_is_concealed_in_them(
    rules: Rules,
) -> None:
    by, entities = concealing(rules), ENTITIES | {"CREDIT_CARD"}

    def accepted(card: str) -> list[int]:
        said = (f"Your card is {card}", " and so on, said ann@mail.example today")
        parts = [{"type": "text", "text": text} for text in said]
        messages = [{"role": "user", "content": parts}]
        hold = make_hold(body=json.dumps({"model": "llama", "messages": messages}).encode())
        shown = asyncio.run(by.seen(hold, entities)).hold.forward
        found = []
        for digit in range(10):
            try:
                asyncio.run(by.body(hold, shown.replace(b" and so", b"%d and so" % digit), entities))
            except Unreadable:
                continue
            found.append(digit)
        return found

    assert accepted("3782 822463 10005") == accepted("3714 496353 98431") == []


def test_what_counts_after_a_certain_word_is_concealed_without_it_where_people_write_it(
    tmp_path: Path,
) -> None:
    config = CONFIG.replace("E-[0-9]{6}'}", "E-[0-9]{6}', context: [employee]}, " + CARDS).replace(
        "[EMAIL_ADDRESS, CREDIT_CARD]", "[EMPLOYEE_ID, CREDIT_CARD, US_SSN, PRIVATE_KEY]"
    )
    by, entities = concealing(rules_in(tmp_path, config)), frozenset({"EMPLOYEE_ID", "CREDIT_CARD", "US_SSN"})
    body = chat("The card is 4111 1111 1111 1111 and the employee E-123456.", "No: 3714 496353 98431.")
    shown = asyncio.run(by.seen(make_hold(body=body), entities)).hold.forward
    assert (b"4111" in shown, b"E-1" in shown, b"3714 496353 98431" in shown) == (False, False, True)
    said = [
        "4111 1111 1111 1111 looks odd",
        "3714 496353 98431 too",
        "E-123456",
        "078-05-1120",
        "4242 4242 4242 4242",
    ]
    told = asyncio.run(by.words(said, entities))
    assert told == ["[CREDIT_CARD] looks odd", "[CREDIT_CARD] too", "[EMPLOYEE_ID]", "[US_SSN]", said[-1]]


def test_where_a_detector_fails_the_hold_is_not_shown(rules: Rules) -> None:
    by = concealing(replace(rules, request_scanner=Failing()))
    for hold in (HOLD, replace(HOLD, answer=AnswerHead(200, {"content-type": "application/json"}))):
        with pytest.raises(Unreadable, match="cannot be told from the rest of this hold") as caught:
            asyncio.run(by.seen(hold, ENTITIES))
        assert caught.value.code == "not_concealable"


def test_a_text_that_no_detector_can_read_is_concealed_and_those_beside_it_are_told(rules: Rules) -> None:
    by = concealing(replace(rules, request_scanner=Failing("secret")))
    assert asyncio.run(by.words(["fine", "a secret", ""], ENTITIES)) == ["fine", NOT_READ, ""]


def test_words_of_people_have_the_type_in_the_place_of_a_value(rules: Rules) -> None:
    said = ["", "It is bob@mail.example, E-123456.", "fine"]
    told = asyncio.run(concealing(rules).words(said, ENTITIES))
    assert told == ["", "It is [EMAIL_ADDRESS], E-123456.", "fine"]
