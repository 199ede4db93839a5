"""Where nobody asks what is in an answer, none of its text waits; else what could become a finding does."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.servers.ext_proc_fakes import CONFIG, serving
from tests.servers.process_messages import answer_body, answer_headers, request_body, request_headers

from authz_service.app import rules_of
from authz_service.cel.load import load_config
from authz_service.runtime.unsought import FindsNothing

ASKED = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "Hi"}]}).encode()
MASKS = "masks: [{name: mail, in: [requests, answers], entities: [EMAIL_ADDRESS], with: type}]\n"
ANSWERS = """\
answers:
  default: allow
  rules: [{name: no-keys, when: "answer.findings.AWS_ACCESS_KEY.count > 0", effect: deny}]
"""
UNSOUGHT = CONFIG.replace(MASKS, MASKS.replace("requests, answers", "requests")).replace(ANSWERS, "")
SHADOW = ANSWERS.replace("effect: deny", "effect: deny, shadow: true")


@pytest.mark.parametrize(
    ("more", "waits"),
    [
        ("", False),
        ("answers: {default: allow}\n", False),
        (MASKS.replace("requests, answers", "answers"), True),
        (ANSWERS, True),
        (SHADOW, True),
        ("answers: {default: deny}\n", True),
    ],
)
def test_text_waits_where_a_mask_or_a_rule_is_for_answers(tmp_path: Path, more: str, waits: bool) -> None:
    config = CONFIG.replace(MASKS, "").replace(ANSWERS, "") + more
    (tmp_path / "authz.yaml").write_text(config)
    rules = rules_of(load_config(tmp_path / "authz.yaml"))
    assert (rules.answer_scanner is rules.scanner) == waits
    settled = rules.answer_scanner.incremental().feed("alice@exam").settled
    assert settled == (0 if waits else 10)


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]}).encode() + b"\n\n"


def test_a_token_goes_on_before_the_next_one_comes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(60), serving(tmp_path, UNSOUGHT) as service, service.play() as play:
            await play.send(request_headers(service.seal()), request_body(ASKED))
            await play.send(answer_headers(kind="text/event-stream"))
            said = b""
            for token in ("alice", "@exam", "ple.com"):
                said += event(token)
                await play.send(answer_body(event(token)))
                while play.body("response_body") != said:
                    assert await play.next() is not None
            await play.send(answer_body(b"data: [DONE]\n\n", end=True))
            await play.leave()
            await play.to_end()
            assert play.is_complete
            assert play.body("response_body") == said + b"data: [DONE]\n\n"

    asyncio.run(scenario())


@given(st.lists(st.text(), max_size=5), st.text(), st.booleans())
def test_whatever_comes_is_settled_and_nothing_is_found(pieces: list[str], last: str, is_json: bool) -> None:
    stream, length = FindsNothing().incremental(embedded_json=is_json), 0
    for piece in pieces:
        length += len(piece)
        assert stream.feed(piece) == ((), length, frozenset())
    assert stream.finish(last) == ((), length + len(last), frozenset())
    assert FindsNothing().scan(last, embedded_json=is_json) == ()
