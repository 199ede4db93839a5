"""A configuration that masks reversibly, and a model that repeats what it sees."""

from __future__ import annotations

from typing import Any

import openai
from tests.e2e.stack import CONFIG
from tests.e2e.upstream_answers import Answer, Received, completion

MASKS = """\
masks:
  - {{name: people, in: [requests], entities: [EMAIL_ADDRESS, AWS_ACCESS_KEY], with: placeholder}}
  - name: cards
    in: [requests]
    entities: [CREDIT_CARD, EMPLOYEE_ID]
    with: placeholder
    restore: [text, tool_arguments]
  - {{name: answers, in: [answers], entities: [EMAIL_ADDRESS, CREDIT_CARD]}}
detectors:
  - {{name: EMPLOYEE_ID, pattern: 'E-\\d{{6}}"?'}}
"""
_BEFORE, _, _REST = CONFIG.partition("masks:\n")
REVERSIBLE = _BEFORE + MASKS + "holds:" + _REST.partition("holds:")[2]
TEXT = "Mail jane@example.com and bob@example.org, card 4111 1111 1111 1111, jane@example.com"
SEEN = "Mail <EMAIL_ADDRESS_1> and <EMAIL_ADDRESS_2>, card <CREDIT_CARD_1>, <EMAIL_ADDRESS_1>"


def echo(request: Received) -> Answer:
    """A model that says what it was told last."""
    return completion(request.json()["messages"][-1]["content"])


def streamed(client: openai.OpenAI, text: str, **options: Any) -> str:
    messages: Any = [{"role": "user", "content": text}]
    chunks = client.chat.completions.create(model="llama", messages=messages, stream=True, **options)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
