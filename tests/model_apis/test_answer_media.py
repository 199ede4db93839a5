"""What an answer carries that is no text is cleared: rules permit it to the model, not from it."""

from __future__ import annotations

from typing import Any

import pytest

from authz_service.model_apis.openai_chat import OpenAiChat
from authz_service.view.request import RequestView

REQUEST = RequestView("openai_chat", "chat_completions", "m", False, ())
URL = "data:image/png;base64,AAAA"


@pytest.mark.parametrize(
    ("said", "cleared"),
    [
        ({"audio": {"id": "a", "data": "AAAA", "transcript": "hi"}}, ("audio",)),
        ({"images": [{"type": "image_url", "image_url": {"url": URL}}]}, ("images",)),
        ({"content": [{"type": "image_url", "image_url": {"url": URL}}]}, ("content", 0, "image_url")),
        ({"new": {"b64_json": "AAAA"}}, ("new", "b64_json")),
    ],
)
@pytest.mark.parametrize("carrier", ["message", "delta"])
def test_sound_and_images_of_a_chat_become_null(carrier: str, said: Any, cleared: tuple[Any, ...]) -> None:
    document = {"choices": [{"index": 0, carrier: {"role": "assistant"} | said}]}
    frame = OpenAiChat().answer_reader(REQUEST).read(document)
    assert ("choices", 0, carrier, *cleared) in frame.cleared
    assert not [field for field in frame.fields if "AAAA" in field.text]
