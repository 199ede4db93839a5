"""Sessions before a real Envoy: ended while they run, found by what was said, shown and replayed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from tests.e2e.people import ask, in_background, until
from tests.e2e.plain import HELLO, sessions_of, staff
from tests.e2e.raw_client import RawClient
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream_answers import JSON_TYPE, SSE_TYPE, Answer, stream

WORDS = stream(["Hello there, ", "dear ", "listener ", "of mine."])


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A gateway whose texts can be searched."""
    config = CONFIG + "record: {{search_texts: true}}\n"
    with Stack(tmp_path_factory.mktemp("gateway"), config=config) as running:
        yield running


def killed(stack: Stack, subject: str, reason: str) -> str:
    """End the subject's one session; its id."""
    (session,) = sessions_of(stack, subject)
    stack.cli("session", "kill", session["id"], "--reason", reason, "--yes")
    return str(session["id"])


def events_of(stack: Stack, session: str) -> list[str]:
    """The kinds of its entries, once it has ended."""

    def look() -> list[str]:
        kinds = [event["kind"] for event in stack.session(session)["events"]]
        return kinds if "exchange.ended" in kinds else []

    return until(look, "the end of the session")


def test_a_model_that_thinks_for_ever_is_ended_and_its_caller_told_why(stack: Stack) -> None:
    gate = stack.upstream.gate()
    stack.upstream.answer_with(Answer(headers=JSON_TYPE, steps=(gate,)))
    seen = len(stack.upstream.requests)
    with RawClient(stack.url) as client:
        client.send(staff(stack, "thinker").head(size=len(HELLO)) + HELLO)
        asked = stack.upstream.wait_for_requests(seen + 1)[-1]
        session = killed(stack, "thinker", "It thinks for ever.")
        reply = client.reply()
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (403, "ended_by_operator")
    assert b"It thinks for ever." in reply.body
    assert asked.left.wait(60)
    kinds = [kind for kind in events_of(stack, session) if kind != "session.read"]
    assert kinds[-3:] == ["session.killed", "answer.refused", "exchange.ended"]
    page = stack.cli("session", "show", session).stdout
    assert f"Session {session}: killed" in page
    assert "saying: It thinks for ever." in page


def test_a_stream_is_cut_off_and_the_model_stops(stack: Stack) -> None:
    gate = stack.upstream.gate()
    first, second, *rest = WORDS.steps
    stack.upstream.answer_with(Answer(headers=SSE_TYPE, steps=(first, second, gate, *rest)))
    seen = len(stack.upstream.requests)
    with RawClient(stack.url) as client:
        client.send(staff(stack, "listener").head(size=len(HELLO)) + HELLO)
        client.reply_head()
        client.read_until(b"there, ")
        asked = stack.upstream.wait_for_requests(seen + 1)[-1]
        assert gate.reached.wait(60)
        session = killed(stack, "listener", "Enough.")
        client.read_until(b"Enough.")
        client.read_until(b"0\r\n\r\n")
    assert asked.left.wait(60)
    kinds = [kind for kind in events_of(stack, session) if kind != "session.read"]
    assert kinds[-3:] == ["session.killed", "answer.refused", "exchange.ended"]
    played = stack.cli("session", "replay", session, "--max-wait", "0").stdout
    assert played.index("Hello there") < played.index("Enough.") < played.index("over: killed")


def test_what_waits_for_people_is_ended(stack: Stack) -> None:
    client = stack.sdk("waiter", "contractors", max_retries=0)
    waiting = in_background(lambda: ask(client, "May I?"))
    stack.wait_for_hold()
    killed(stack, "waiter", "Not today.")
    with pytest.raises(openai.PermissionDeniedError, match=r"Not today\."):
        waiting.result(60)


def test_a_session_is_found_by_what_was_said_and_the_search_is_followed_on_record(
    stack: Stack, tmp_path: Path
) -> None:
    ask(stack.sdk("searcher", "staff"), "Where are the walruses of Walvis Bay? Write to w@example.com")
    for words in ("walruses", '"walvis bay"', "email_address walruses"):
        (found,) = stack.cli_json("session", "list", "--text", words, "--group", "staff")
        assert found["caller"]["subject"] == "searcher"
    assert stack.cli_json("session", "list", "--text", "w@example.com walruses") == []
    assert [s["id"] for s in stack.cli_json("session", "list", "--entity", "EMAIL_ADDRESS")] == [found["id"]]
    stack.cli("session", "export", found["id"], "--format", "asciicast", "-o", str(tmp_path / "one.cast"))
    assert "walruses" in (tmp_path / "one.cast").read_text()
