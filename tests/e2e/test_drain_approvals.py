"""An approval that comes too late in a stop for the model to answer is left to the next process."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.e2e.faults import RESTART, stop_service, until_gone
from tests.e2e.people import approve_at_once, chat, hold_of, in_background, until
from tests.e2e.plain import contractor, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import Stack
from tests.e2e.test_drain_holds import is_stopping
from tests.e2e.upstream_answers import SSE_TYPE, Answer, completion, stream


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("late"), wait="5m", options=("--drain", "15")) as running:
        yield running


def test_an_approval_during_a_stop_is_not_used_for_an_answer_that_is_cut(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, *rest = stream(["Hello there, ", "how are you?"]).steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, gate, *rest)))
    with staff(stack).asking() as listener, RawClient(stack.url, timeout=RESTART) as lou:
        listener.read_until(b"there, ")
        body = json.dumps(chat("Answer me slowly")).encode()
        lou.send(contractor(stack, "lou").head(size=len(body)) + body)
        hold = hold_of(stack, "lou")
        stopped = stop_service(stack)
        until(lambda: is_stopping(stack), "the service has heard of it")
        stack.upstream.answer_with(Answer(steps=(gate, *completion("Here is your answer.").steps)))
        approve_at_once(stack, hold)
        told = in_background(lou.reply)
        until_gone(stopped)
        gate.open()
        assert told.result(RESTART).status == 200
