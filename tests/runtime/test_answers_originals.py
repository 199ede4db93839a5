"""However an answer comes, what is kept from before masking is, joined, what the model sent."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers.ext_proc_fakes import ALICE, CONFIG
from tests.servers.process_messages import CHAT

from authz_service.app import rules_of
from authz_service.cel.load import load_config
from authz_service.core.events import AnswerRead, RequestJudged
from authz_service.core.request import Request
from authz_service.model_apis.registry import find_operation
from authz_service.runtime.answers import start_answer
from authz_service.runtime.judging import Route, judge
from authz_service.runtime.rules import Rules
from authz_service.runtime.threads import Threads

REQUEST = Request("ses_1", ALICE, "pseudonym", "POST", CHAT, "openai_chat")
TEXT = "Write to jane@example.com or joe@example.com, but never to 4111 1111 1111 1111, says E-1."


@pytest.fixture
def rules(tmp_path: Path) -> Rules:
    (tmp_path / "authz.yaml").write_text(f"{CONFIG}record: {{keep: {{originals: 7d}}}}\n")
    return rules_of(load_config(tmp_path / "authz.yaml"))


def streamed(texts: list[str]) -> bytes:
    """An answer in events, with a comment and an id that do not cross."""
    chunks = [{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "llama"} for _ in texts]
    events = [
        json.dumps(chunk | {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]})
        for chunk, text in zip(chunks, texts, strict=True)
    ]
    lines = [": a comment\n\n", *(f"id: 7\ndata: {event}\n\n" for event in events), "data: [DONE]\n\n"]
    return "".join(lines).encode()


def cut(whole: Any, places: list[int]) -> list[Any]:
    bounds = [0, *sorted({place % (len(whole) + 1) for place in places}), len(whole)]
    return [whole[start:end] for start, end in pairwise(bounds)]


def read(rules: Rules, pieces: list[bytes], content_type: str) -> list[AnswerRead]:
    async def scenario() -> list[Any]:
        body = json.dumps({"model": "llama", "messages": [{"role": "user", "content": "hi"}]}).encode()
        route = Route(*(find_operation("POST", CHAT) or ()))
        threads = Threads()
        judged = await judge(
            rules, REQUEST, route, body, caller=ALICE, now=0.0, new_hold="hold_1", threads=threads
        )
        assert isinstance(judged, RequestJudged)
        answer = start_answer(
            rules,
            REQUEST,
            route,
            judged.inspection,
            status=200,
            headers={"content-type": content_type},
            clock=lambda: 0.0,
            new_id=str,
            threads=threads,
            reserve=lambda size: None,
            pseudonym="/".join,
        )
        return [await answer.read(p, is_last=n == len(pieces) - 1) for n, p in enumerate(pieces)]

    told = asyncio.run(scenario())
    assert all(isinstance(each, AnswerRead) for each in told), told
    return told


def joined(told: list[AnswerRead]) -> tuple[bytes, bytes]:
    """What crossed, and what a reader puts together of what is kept."""
    released = b"".join(each.step.release for each in told)
    kept = [each.step.release if each.original is None else each.original for each in told]
    return released, b"".join(kept)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 100), max_size=6), st.lists(st.integers(0, 5000), max_size=6))
def test_a_stream_in_any_cut_is_kept_as_it_was_sent(rules: Rules, texts: list[int], cuts: list[int]) -> None:
    whole = streamed(cut(TEXT, texts))
    released, kept = joined(read(rules, cut(whole, cuts), "text/event-stream"))
    assert kept == whole
    assert b"jane@example.com" not in released


def test_a_whole_answer_is_kept_as_it_was_sent_and_one_that_was_not_masked_only_once(rules: Rules) -> None:
    def answer(text: str) -> bytes:
        message = {"role": "assistant", "content": text}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return json.dumps({"id": "c", "object": "chat.completion", "choices": choices}).encode()

    masked, plain = answer(TEXT), answer("Hello.")
    told = read(rules, cut(masked, [40]), "application/json")
    assert joined(told)[1] == masked
    told = read(rules, cut(plain, [40]), "application/json")
    assert [each.original for each in told] == [None, None]


def test_nothing_is_kept_by_default(tmp_path: Path) -> None:
    (tmp_path / "authz.yaml").write_text(CONFIG)
    rules = rules_of(load_config(tmp_path / "authz.yaml"))
    told = read(rules, [streamed([TEXT])], "text/event-stream")
    assert [each.original for each in told] == [None]
