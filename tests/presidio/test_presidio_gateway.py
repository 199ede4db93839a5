"""Presidio's entity types in requests through the whole gateway."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest
from tests.e2e.people import chat
from tests.e2e.stack import CONFIG, Stack

DETECTORS = """\
detectors:
  - {{name: UUID, presidio: {{model: none}}}}
  - {{name: URL, presidio: {{model: none}}, threshold: 0.4}}
"""
RULE = """\
    - name: no-urls
      when: "findings.URL.count > 0"
      effect: deny
      reason: Addresses may not be sent to a model.
"""
MASK = """\
  - {{name: ids, in: [requests], entities: [UUID], with: type}}
"""
NUMBER = "123e4567-e89b-12d3-a456-426614174000"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Stack]:
    config = CONFIG.replace("detectors:\n", DETECTORS).replace(
        "    - name: no-keys\n", RULE + "    - name: no-keys\n"
    )
    with Stack(
        tmp_path_factory.mktemp("gateway"), config=config.replace("masks:\n", "masks:\n" + MASK)
    ) as running:
        yield running
        if request.session.testsfailed:
            print(running.logs())


def test_what_it_finds_is_masked_beside_what_we_find(stack: Stack) -> None:
    stack.sdk("alice", "staff").chat.completions.create(
        **chat(f"I am {NUMBER}, and pay with 4111 1111 1111 1111.")
    )
    said = stack.upstream.requests[-1].json()["messages"][-1]["content"]
    assert said == "I am [UUID], and pay with [CREDIT_CARD]."


def test_rules_see_it_and_the_model_does_not(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    with pytest.raises(openai.PermissionDeniedError) as refused:
        stack.sdk("alice", "staff").chat.completions.create(**chat("See https://intranet.example.com/secret"))
    assert "Addresses may not be sent" in str(refused.value)
    assert len(stack.upstream.requests) == before


def test_a_text_that_is_too_long_for_it_never_reaches_the_model(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    with pytest.raises(openai.APIStatusError) as refused:
        stack.sdk("alice", "staff").chat.completions.create(**chat("word " * 30_000))
    assert refused.value.status_code == 413
    assert len(stack.upstream.requests) == before
