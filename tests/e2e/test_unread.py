"""Images and recordings, with OpenAI's SDK through the whole gateway: refused, permitted by rules, held."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import anthropic
import ollama
import openai
import pytest
from tests.e2e.people import in_background
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream_answers import completion, whole

from authz_service.framing.multipart import boundary_of, read_form

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(range(256))
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(20)
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}}
PATH = "/v1/audio/transcriptions"
RULES = """\
    - name: listeners
      when: "'listeners' in caller.groups && request.unread.all(u, u.type == 'audio/wav' && u.size < 1000)"
      effect: allow
      permits: [audio]
    - {{name: viewers, when: "'viewers' in caller.groups", effect: allow, permits: [image]}}
    - name: asking
      when: "'asking' in caller.groups"
      effect: hold
      approval: security
      permits: [audio, image]
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    config = CONFIG.replace("  rules:\n", f"  rules:\n{RULES}", 1)
    with Stack(tmp_path_factory.mktemp("unread"), config=config) as running:
        yield running


def transcribe(stack: Stack, group: str, file: bytes = WAV, **more: Any) -> Any:
    client = stack.sdk("alice", group, max_retries=0)
    return client.audio.transcriptions.create(model="gpt-4o", file=("talk.wav", file, "audio/wav"), **more)


def look(stack: Stack, group: str) -> Any:
    said: Any = [{"role": "user", "content": [{"type": "text", "text": "Ask ann@example.com"}, IMAGE]}]
    return stack.sdk("alice", group, max_retries=0).chat.completions.create(model="llama", messages=said)


def events(stack: Stack, session: str) -> dict[str, dict[str, Any]]:
    return {event["kind"]: event for event in stack.session(session)["events"]}


def unread_on_record(stack: Stack, session: str) -> list[dict[str, Any]]:
    payloads = events(stack, session)["request.decided"]["payloads"]
    (text,) = [payload["body"] for payload in payloads if payload["name"] == "unread"]
    found: list[dict[str, Any]] = json.loads(text)
    return found


def test_by_default_neither_reaches_the_model_and_the_record_has_the_digest(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    for asking, kind, data in ((transcribe, "audio", WAV), (look, "image", PNG)):
        with pytest.raises(
            openai.BadRequestError, match="is not text, and this gateway judges text only"
        ) as e:
            asking(stack, "staff")
        assert e.value.code == "unsupported_content"
        session = e.value.response.headers["x-authz-session"]
        (unread,) = unread_on_record(stack, session)
        assert (unread["kind"], unread["sha256"]) == (kind, hashlib.sha256(data).hexdigest())
        assert events(stack, session)["request.refused"]["data"]["code"] == "unsupported_content"
    assert len(stack.upstream.requests) == before


def test_a_recording_that_a_rule_permits_goes_on_with_its_prompt_masked(stack: Stack) -> None:
    stack.upstream.answer_with(whole({"text": "Write to john@example.org."}))
    answer = transcribe(stack, "listeners", prompt="I am jane@example.com", language="en")
    assert answer.text == "Write to [EMAIL_ADDRESS]."
    seen = stack.upstream.requests[-1]
    assert seen.path == PATH
    boundary = boundary_of(seen.header("content-type")[0])
    assert boundary is not None
    fields = {part.name: part.data for part in read_form(seen.body, boundary).parts}
    assert fields == {
        "file": WAV,
        "model": b"llama",
        "prompt": b"I am [EMAIL_ADDRESS]",
        "language": b"en",
    }


def test_segments_and_words_are_masked_in_step_with_the_text(stack: Stack) -> None:
    stack.upstream.answer_with(
        whole(
            {
                "task": "transcribe",
                "language": "english",
                "duration": 2.0,
                "text": " Pay with 4111 1111 1111 1111 now.",
                "segments": [{"id": 0, "text": " Pay with 4111 1111"}, {"id": 1, "text": " 1111 1111 now."}],
                "words": [
                    {"word": word, "start": 0.0, "end": 1.0}
                    for word in ("Pay", "with", "4111", "1111", "1111", "1111", "now")
                ],
            }
        )
    )
    answer = transcribe(
        stack,
        "listeners",
        response_format="verbose_json",
        timestamp_granularities=["segment", "word"],
    )
    assert answer.text == " Pay with [CREDIT_CARD] now."
    assert [word.word for word in answer.words] == ["Pay", "with", "[CREDIT_CARD]", "", "", "", "now"]
    assert [segment.text for segment in answer.segments] == ["Pay with [CREDIT_CARD]", " now."]
    assert "1111" not in answer.model_dump_json()


def test_a_rule_over_type_and_size_permits_nothing_else(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    for file in (WAV + bytes(1000), PNG, b"ID3" + bytes(50)):
        with pytest.raises(openai.BadRequestError, match="a recording is not text"):
            transcribe(stack, "listeners", file)
    with pytest.raises(openai.BadRequestError, match="only json and verbose_json"):
        transcribe(stack, "listeners", response_format="srt")
    assert len(stack.upstream.requests) == before


def test_an_image_that_a_rule_permits_goes_on_and_the_text_beside_it_is_masked(stack: Stack) -> None:
    stack.upstream.answer_with(completion("A cat."))
    assert look(stack, "viewers").choices[0].message.content == "A cat."
    content = stack.upstream.requests[-1].json()["messages"][0]["content"]
    assert content == [{"type": "text", "text": "Ask [EMAIL_ADDRESS]"}, IMAGE]


def test_images_for_anthropics_and_ollamas_clients_are_noted_and_permitted_alike(stack: Stack) -> None:
    encoded = base64.b64encode(PNG).decode()
    source = {"type": "base64", "media_type": "image/png", "data": encoded}
    said: Any = [{"role": "user", "content": [{"type": "image", "source": source}]}]

    def by_anthropic(group: str) -> Any:
        with anthropic.Anthropic(
            base_url=stack.url, api_key=stack.token("alice", group), max_retries=0
        ) as client:
            return client.messages.create(model="llama", max_tokens=9, messages=said).content[0]

    def by_ollama(group: str) -> Any:
        client = ollama.Client(
            host=stack.url, headers={"authorization": f"Bearer {stack.token('alice', group)}"}
        )
        with ExitStack() as opened:
            opened.callback(client.close)
            return client.chat("llama", [{"role": "user", "content": "What?", "images": [encoded]}]).message

    before = len(stack.upstream.requests)
    with pytest.raises(anthropic.BadRequestError, match="a block of type image is not text"):
        by_anthropic("staff")
    with pytest.raises(ollama.ResponseError, match="it holds media"):
        by_ollama("staff")
    assert len(stack.upstream.requests) == before
    blocks = [{"type": "text", "text": "A cat."}]
    usage = {"input_tokens": 3, "output_tokens": 5}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "llama", "usage": usage}
    stack.upstream.answer_with(
        whole(head | {"content": blocks, "stop_reason": "end_turn", "stop_sequence": None}),
        whole({"model": "llama", "message": {"role": "assistant", "content": "A cat."}, "done": True}),
    )
    assert by_anthropic("viewers").text == "A cat."
    assert stack.upstream.requests[-1].json()["messages"] == said
    assert by_ollama("viewers").content == "A cat."
    assert stack.upstream.requests[-1].json()["messages"][0]["images"] == [encoded]


@pytest.mark.parametrize(("asking", "kind"), [(transcribe, "audio"), (look, "image")])
def test_a_reviewer_sees_what_is_unread_and_approves_those_bytes(
    stack: Stack, asking: Any, kind: str
) -> None:
    waiting = in_background(lambda: asking(stack, "asking"))
    hold = stack.wait_for_hold()
    (unread,) = stack.cli_json("hold", "show", hold["id"])["unread"]
    assert unread["kind"] == kind
    page = stack.cli("hold", "show", hold["id"]).stdout
    assert f"Unread:   {kind}: {unread['type']}" in page
    is_image = kind == "image"
    if not is_image:
        assert '  ├ file:\n  ├   filename: "talk.wav"\n  ├   content_type: "audio/wav"\n' in page
        assert f'  ├   size: {len(WAV)}\n  ├   sha256: "{hashlib.sha256(WAV).hexdigest()}"\n' in page
    stack.upstream.answer_with(completion("A cat.") if is_image else whole({"text": "Hello."}))
    stack.cli("hold", "approve", hold["id"], "--digest", hold["digest"], "--yes", "--reason", "fine")
    answer = waiting.result(60)
    assert (answer.choices[0].message.content if is_image else answer.text) in ("A cat.", "Hello.")
    assert hashlib.sha256(stack.upstream.requests[-1].body).hexdigest() == hold["digest"]


def test_a_form_where_a_document_belongs_and_the_other_way_round_are_refused(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    form = {"content-type": "multipart/form-data; boundary=b"}
    assert stack.post({"model": "llama", "file": "x"}, "listeners", path=PATH).status_code == 415
    assert stack.post(b"--b--", "listeners", headers=form).status_code == 415
    odd = {"content-type": "multipart/form-data; boundary=b; charset=utf-7"}
    assert stack.post(b"--b--", "listeners", path=PATH, headers=odd).status_code == 415
    answer = stack.post(b"--b--", "listeners", path=PATH, headers=form)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_form")
    assert len(stack.upstream.requests) == before
