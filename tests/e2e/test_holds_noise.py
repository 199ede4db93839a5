"""Which requests are the same one: noise makes no other, another person or text does."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest
from tests.e2e.holding import HOLDS_CONFIG
from tests.e2e.people import (
    approve,
    ask,
    asking,
    chat,
    contractor,
    hold_of,
    in_background,
    left_waiting,
    received,
    reject,
    said,
    sha256,
    until,
)
from tests.e2e.stack import Stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway with approvals of several kinds."""
    with Stack(tmp_path_factory.mktemp("holds"), config=HOLDS_CONFIG) as running:
        yield running


def test_another_person_or_another_text_is_another_request(stack: Stack) -> None:
    asked = [
        asking(stack, "ida", "Sell the car"),
        asking(stack, "ivo", "Sell the car"),
        asking(stack, "ida", "Sell the cat"),
    ]

    def pending() -> list[str]:
        found = stack.holds("--caller", "ida", "--state", "pending")
        found += stack.holds("--caller", "ivo", "--state", "pending")
        return [hold["id"] for hold in found] if len(found) == 3 else []

    holds = until(pending, "three holds")
    assert len(set(holds)) == 3
    for hold in holds:
        reject(stack, {"id": hold}, "no")
    for future in asked:
        with pytest.raises(openai.PermissionDeniedError):
            future.result(60)


def test_noise_makes_no_other_request_and_what_goes_out_is_what_was_approved(stack: Stack) -> None:
    first = asking(stack, "jan", "Water the plants", metadata={"nonce": "one", "job": "7"})
    hold = hold_of(stack, "jan")
    shown = stack.cli_json("hold", "show", hold["id"])["forward"]
    second = asking(stack, "jan", "Water the plants", metadata={"nonce": "two", "job": "7"})
    assert hold_of(stack, "jan", waiting=2)["id"] == hold["id"]
    # The same document, written in another way: other bytes, the same request.
    third = in_background(
        lambda: stack.post(
            json.dumps(
                {"metadata": {"nonce": "three", "job": "7"}, **chat("Water the plants")}, indent=1
            ).encode(),
            "contractors",
            headers={"accept": "application/json"},
            subject="jan",
        )
    )
    assert hold_of(stack, "jan", waiting=3)["id"] == hold["id"]
    other = asking(stack, "jan", "Water the plants", metadata={"nonce": "one", "job": "8"})
    different = hold_of(stack, "jan", waiting=1)
    assert different["id"] != hold["id"]
    reject(stack, different, "no")
    with pytest.raises(openai.PermissionDeniedError):
        other.result(60)

    approve(stack, hold)
    assert said(first.result(60))
    (body,) = received(stack, "Water the plants")
    assert body == shown.encode()
    fresh = hold_of(stack, "jan", waiting=2)
    assert fresh["previous"] == hold["id"]
    reject(stack, fresh, "once is enough")
    with pytest.raises(openai.PermissionDeniedError):
        second.result(60)
    assert third.result(60).status_code == 403
    assert len(received(stack, "Water the plants")) == 1


def test_the_retry_of_a_noisy_request_sends_the_bytes_of_the_first_attempt(stack: Stack) -> None:
    hold = left_waiting(stack, "joy", "Tell kim@example.com", metadata={"nonce": "first"})
    approve(stack, hold)
    assert said(ask(contractor(stack, "joy"), "Tell kim@example.com", metadata={"nonce": "again"}))
    sent = stack.upstream.requests[-1].body
    assert sha256(sent) == hold["digest"]
    assert json.loads(sent)["metadata"] == {"nonce": "first"}
