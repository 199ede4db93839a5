"""What is unread is never masked, never noise, and always part of what makes two requests the same."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from authz_service.errors import Unreadable
from authz_service.inspection.request import inspect_request
from authz_service.inspection.results import RequestInspection
from authz_service.model_apis.openai_audio import TRANSCRIPTIONS, OpenAiAudio
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat

MASKED = frozenset({"NUMBER", "BLOCK", "ADDRESS"})
HIDDEN = base64.b64encode(b"xx 1234 a@b").decode()
FORM = "multipart/form-data; boundary=b"


def inspect(kit: Any, body: bytes, **others: Any) -> RequestInspection:
    return inspect_request(
        body,
        **{
            "api": OpenAiChat(),
            "operation": CHAT_COMPLETIONS,
            "scanner": kit.scanner(),
            "masked_entities": MASKED,
            "models": {"llama": "llama", "alias": "llama"},
            "noise": (),
            "max_depth": 16,
            **others,
        },
    )


def asking(**more: Any) -> bytes:
    return json.dumps({"model": "llama", "messages": [{"role": "user", "content": "hi"}], **more}).encode()


def form(*fields: tuple[str, str]) -> bytes:
    lines = [
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields
    ]
    return "".join([*lines, "--b--\r\n"]).encode()


def transcribing(kit: Any, *fields: tuple[str, str], **others: Any) -> RequestInspection:
    body = form(('file"; filename="a', "1234"), ("model", "alias"), *fields)
    return inspect(kit, body, api=OpenAiAudio(), operation=TRANSCRIPTIONS, content_type=FORM, **others)


def test_numbers_and_encoded_bytes_that_are_not_read_are_not_masked(kit: Any) -> None:
    body = asking(token_ids=[1234, 1234], images=[HIDDEN], prompt_embeds=HIDDEN)
    assert inspect(kit, body).forward is body


def test_a_url_and_a_template_are_masked_like_text(kit: Any) -> None:
    body = asking(image_url="https://x/1234", chat_template="{{ 1234 }}", token_ids=["1234"])
    forward = inspect(kit, body).forward
    assert json.loads(forward)["image_url"] == "https://x/[NUMBER]"
    assert json.loads(forward)["chat_template"] == "{{ [NUMBER] }}"
    assert json.loads(forward)["token_ids"] == ["[NUMBER]"]


@pytest.mark.parametrize("noise", [("request_id",), ("request_id", "nonce")])
def test_noise_leaves_out_nothing_that_was_not_read(kit: Any, noise: tuple[str, ...]) -> None:
    def fingerprint(value: Any) -> bytes:
        return inspect(kit, asking(request_id=value), noise=(noise,)).fingerprint

    assert fingerprint([1, 2]) != fingerprint([1, 3])
    assert fingerprint({"nonce": [1]}) != fingerprint({"nonce": [2]})
    assert fingerprint({"nonce": "a"}) == fingerprint({"nonce": "b"})


def test_a_form_is_edited_in_place_and_its_file_is_as_it_was(kit: Any) -> None:
    inspection = transcribing(kit, ("prompt", "call 1234"))
    assert inspection.forward == form(
        ('file"; filename="a', "1234"), ("model", "llama"), ("prompt", "call [NUMBER]")
    )
    assert b"1234\r\n" in inspection.redacted
    assert b"call [NUMBER]" in inspection.redacted
    assert inspection.view.model == "llama"


def test_the_name_of_a_file_is_text(kit: Any) -> None:
    body = form(('file"; filename="1234.wav', "x"), ("model", "llama"))
    inspection = inspect(kit, body, api=OpenAiAudio(), operation=TRANSCRIPTIONS, content_type=FORM)
    assert inspection.forward == body.replace(b"1234", b"[NUMBER]")


def test_another_recording_is_another_request(kit: Any) -> None:
    def fingerprint(data: str, prompt: str = "p") -> bytes:
        body = form(('file"; filename="a', data), ("model", "llama"), ("prompt", prompt))
        inspection = inspect(kit, body, api=OpenAiAudio(), operation=TRANSCRIPTIONS, content_type=FORM)
        return inspection.fingerprint

    assert fingerprint("x") == fingerprint("x")
    assert len({fingerprint("x"), fingerprint("y"), fingerprint("x", "q")}) == 3


@pytest.mark.parametrize("masked", [MASKED, frozenset()])
def test_a_finding_in_a_fields_name_stops_a_form_since_the_record_could_not_hide_it(
    kit: Any, masked: frozenset[str]
) -> None:
    with pytest.raises(Unreadable) as caught:
        transcribing(kit, ("n1234", "x"), masked_entities=masked)
    assert caught.value.code == "unmaskable"


@pytest.mark.parametrize("content_type", [None, "application/json", "multipart/form-data; boundary=other"])
def test_a_form_without_its_boundary_is_refused(kit: Any, content_type: str | None) -> None:
    body = form(('file"; filename="a', "x"), ("model", "llama"))
    with pytest.raises(Unreadable) as caught:
        inspect(kit, body, api=OpenAiAudio(), operation=TRANSCRIPTIONS, content_type=content_type)
    assert caught.value.code == "invalid_form"
