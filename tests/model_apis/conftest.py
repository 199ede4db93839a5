"""What the tests of the dialects share: the files of wire traffic, and a request to answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from authz_service.model_apis.base import Operation
from authz_service.model_apis.openai_chat import CHAT_COMPLETIONS, OpenAiChat
from authz_service.view.request import RequestView

WIRE = Path(__file__).parent / "wire"


@pytest.fixture(scope="session")
def wire() -> Callable[[str], Any]:
    """A file of wire traffic: the document of a `.json`, the list of documents of a `.sse`."""

    def read(name: str) -> Any:
        text = (WIRE / name).read_text()
        if name.endswith(".json"):
            return json.loads(text)
        events = [event.removeprefix("data: ") for event in text.split("\n\n") if event]
        assert events.pop() == "[DONE]"
        return [json.loads(event) for event in events]

    return read


@pytest.fixture(scope="session")
def chat() -> OpenAiChat:
    return OpenAiChat()


@pytest.fixture(scope="session")
def operation() -> Operation:
    return CHAT_COMPLETIONS


@pytest.fixture(scope="session")
def weather_request() -> RequestView:
    """A request with one tool, `get_weather`."""
    return RequestView("openai_chat", "chat_completions", "m", True, (), tools=("get_weather",))
