"""How many messages Envoy and the service exchange for a request, by Envoy's own count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pytest
from tests.e2e.people import approve, chat, hold_of, in_background, until
from tests.e2e.plain import HELLO, contractor, staff
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import Answer, stream

NAMES = {
    "http.gateway.ext_authz.ok": "checks",
    "http.gateway.ext_authz.denied": "checks",
    "http.gateway.ext_proc.authz.streams_started": "streams",
    "http.gateway.ext_proc.authz.streams_closed": "closed",
    "http.gateway.ext_proc.authz.stream_msgs_sent": "sent",
    "http.gateway.ext_proc.authz.stream_msgs_received": "received",
}
WORDS = ["One ", "two ", "three ", "four."]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("messages")) as running:
        yield running


def counters(stack: Stack) -> Counter[str]:
    """Envoy's counters for Process, and its calls of Check, once no stream is open."""

    def look() -> Counter[str]:
        found = Counter[str]()
        for name, _, value in (line.rpartition(": ") for line in stats(stack)):
            if name in NAMES:
                found[NAMES[name]] += int(value)
        return found if found.pop("closed") == found["streams"] else Counter()

    return until(look, "the end of all streams")


def stats(stack: Stack) -> list[str]:
    """What Envoy counts of both filters, a line for each."""
    admin = httpx.HTTPTransport(uds=str(stack.data / "run" / "envoy-admin.sock"))
    with httpx.Client(transport=admin, timeout=60) as client:
        return client.get("http://envoy/stats?filter=ext_(proc|authz)").text.splitlines()


def lines(stack: Stack, log: str) -> int:
    """How many lines a log has."""
    return len((stack.data / "logs" / log).read_text(errors="replace").splitlines())


def during(stack: Stack, act: Callable[[], object]) -> Counter[str]:
    """What was counted while one request was made, of which the service's log says nothing."""
    before, said = counters(stack), lines(stack, "service.log")
    act()
    assert lines(stack, "service.log") == said
    return counters(stack) - before


def test_a_whole_exchange_is_one_check_one_stream_and_four_answers_on_it(stack: Stack) -> None:
    """Envoy says headers and body on either side, and a body's end by itself where that comes late."""
    sessions: list[str] = []
    counted = during(stack, lambda: sessions.append(staff(stack).ask(HELLO).session))
    assert 4 <= counted["sent"] <= 6
    assert counted == Counter(checks=1, streams=1, sent=counted["sent"], received=4)
    access = stack.data / "logs" / "access.log"
    until(lambda: sessions[0] in access.read_text(), "its line in Envoy's log")
    assert access.read_text().count(sessions[0]) == 1


def test_one_that_was_held_is_no_more_than_that(stack: Stack) -> None:
    def held() -> None:
        told = in_background(lambda: contractor(stack, "kim").ask(HELLO))
        approve(stack, hold_of(stack, "kim"))
        assert told.result(60).status == 200

    counted = during(stack, held)
    assert (counted["checks"], counted["streams"], counted["received"]) == (1, 1, 4)
    assert counted["sent"] <= 6


def test_a_stream_is_no_more_messages_than_the_model_wrote_pieces(stack: Stack) -> None:
    paced = stream(WORDS)
    steps = [part for step in paced.steps for part in (step, 0.1)]
    stack.upstream.answer_with(Answer(headers=paced.headers, steps=steps))
    counted = during(stack, lambda: staff(stack).ask(json.dumps(chat("Hello", stream=True)).encode()))
    pieces = len(paced.steps)
    assert (counted["checks"], counted["streams"]) == (1, 1)
    assert counted["sent"] <= 3 + pieces + 2
    assert counted["received"] <= 3 + pieces


def test_what_is_denied_is_answered_at_once(stack: Stack) -> None:
    counted = during(stack, lambda: stack.post(chat("Hello"), "nobody"))
    assert counted["sent"] in (2, 3)
    assert counted == Counter(checks=1, streams=1, sent=counted["sent"], received=1)


def test_what_nobody_is_known_to_have_asked_is_refused_by_check(stack: Stack) -> None:
    """Envoy shows its own reply on a stream, on which nothing is changed of it."""
    counted = during(stack, lambda: httpx.post(f"{stack.url}/v1/chat/completions", json={}, timeout=60))
    assert counted == Counter(checks=1, streams=1, sent=2, received=2)


def test_a_request_without_a_body_is_answered_by_one_message(stack: Stack) -> None:
    counted = during(stack, lambda: staff(stack).ask(b"", method="GET", target="/v1/models"))
    assert counted == Counter(checks=1, streams=1, sent=1, received=1)
