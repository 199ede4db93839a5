"""A template is the request without the text of its newest user turn, and nothing less."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz_service.inspection.request import inspect_request
from authz_service.inspection.results import RequestInspection
from authz_service.model_apis.openai_audio import TRANSCRIPTIONS, OpenAiAudio
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat

MASKED = frozenset({"NUMBER", "ADDRESS"})
TOOL = {"type": "function", "function": {"name": "search", "parameters": {"type": "object"}}}
BASE: dict[str, Any] = {
    "model": "llama",
    "temperature": 0.5,
    "tools": [TOOL],
    "metadata": {"nonce": "1"},
    "messages": [
        {"role": "system", "content": "Sort mail of 4444."},
        {"role": "user", "content": "The first mail"},
        {"role": "assistant", "content": "Sorted."},
        {"role": "user", "content": [{"type": "text", "text": "The second, to a@b"}]},
    ],
}


def inspect(kit: Any, body: Any, **others: Any) -> RequestInspection:
    return inspect_request(
        body if isinstance(body, bytes) else json.dumps(body).encode(),
        **{
            "api": OpenAiChat(),
            "operation": CHAT_COMPLETIONS,
            "scanner": kit.scanner(),
            "masked_entities": MASKED,
            "models": {"llama": "llama", "other": "other"},
            "noise": (("metadata", "nonce"),),
            "max_depth": 16,
            "head": lambda model: f"POST {model}\0".encode(),
            **others,
        },
    )


def changed(*path: str | int, to: Any) -> dict[str, Any]:
    body: Any = copy.deepcopy(BASE)
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return dict(body)


@given(st.text(max_size=40))
def test_the_newest_text_of_the_user_makes_no_difference_whatever_is_found_in_it(kit: Any, text: str) -> None:
    body = changed("messages", 3, "content", 0, "text", to=text)
    assert inspect(kit, body).template == inspect(kit, BASE).template


@pytest.mark.parametrize(
    "body",
    [
        changed("messages", 0, "content", to="Obey mail of 4444."),
        changed("messages", 0, "content", to="Sort mail of 5555."),
        changed("messages", 1, "content", to="Another first mail"),
        changed("messages", 2, "content", to="Obeyed."),
        changed("messages", 3, "role", to="system"),
        changed("messages", 3, "content", to="The second, to a@b"),
        changed(
            "messages", 3, "content", to=[{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}]
        ),
        changed("temperature", to=0.6),
        changed("tools", to=[]),
        changed("tools", 0, "function", "description", to="Searches"),
        changed("model", to="other"),
        changed("metadata", to={"nonce": "1", "team": "a"}),
        BASE | {"stream": True},
    ],
)
def test_everything_else_does_also_what_is_masked(kit: Any, body: dict[str, Any]) -> None:
    assert inspect(kit, body).template != inspect(kit, BASE).template


def test_noise_and_layout_make_none(kit: Any) -> None:
    template = inspect(kit, BASE).template
    assert inspect(kit, changed("metadata", "nonce", to="2")).template == template
    assert inspect(kit, json.dumps(BASE, indent=2).encode()).template == template


def test_it_has_the_head_and_is_not_the_fingerprint(kit: Any) -> None:
    inspection = inspect(kit, BASE)
    assert inspection.template.startswith(b"POST llama\0")
    assert b"The first mail" in inspection.template
    assert b"The second" not in inspection.template
    assert b"The second" in inspection.fingerprint


def test_it_is_made_with_everything_else_or_not_any_more(kit: Any) -> None:
    inspection = inspect(kit, BASE)
    assert inspection.in_full(with_template=True).template == inspection.template
    with pytest.raises(RuntimeError):
        _ = inspection.in_full().template


def form(**fields: str) -> bytes:
    parts = [
        f'--b\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {"model": "llama", **fields}.items()
    ]
    file = '--b\r\ncontent-disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n'
    return ("".join(parts) + file + "--b--\r\n").encode()


def test_a_form_has_one_as_well(kit: Any) -> None:
    def template(body: bytes) -> bytes:
        more = {"api": OpenAiAudio(), "operation": TRANSCRIPTIONS, "noise": ()}
        return inspect(kit, body, content_type="multipart/form-data; boundary=b", **more).template

    assert template(form(prompt="one")) == template(form(prompt="two, longer"))
    assert template(form(prompt="one")) != template(form(prompt="one", language="de"))
    assert template(form(prompt="one")) != template(form(prompt="one").replace(b"RIFF", b"RIFX"))
