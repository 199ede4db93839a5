"""LlamaIndex, unchanged but for where it calls and what key it has, through the whole gateway."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import completion, stream
from tests.frameworks.test_langchain import (
    KEY,
    MASKED,
    MASKED_ARGUMENTS,
    PIECES,
    SAID,
    chat_call,
    send_mail,
)


def llm(stack: Stack) -> Any:
    return import_module("llama_index.llms.openai_like").OpenAILike(
        model="llama",
        api_base=f"{stack.url}/v1",
        api_key=stack.token("alice", "staff"),
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=0,
    )


def asking(text: str) -> list[Any]:
    return [import_module("llama_index.core.llms").ChatMessage(role="user", content=text)]


def test_a_question_and_its_answer_are_masked(stack: Stack) -> None:
    stack.upstream.answer_with(completion(SAID))
    assert llm(stack).chat(asking("I am jane@example.com")).message.content == MASKED
    assert stack.upstream.requests[-1].json()["messages"][0]["content"] == "I am [EMAIL_ADDRESS]"


def test_a_stream_is_masked_across_its_pieces(stack: Stack) -> None:
    stack.upstream.answer_with(stream(PIECES))
    pieces = [piece.delta for piece in llm(stack).stream_chat(asking("Tell me"))]
    assert "".join(piece or "" for piece in pieces) == MASKED
    assert len([piece for piece in pieces if piece]) > 3


def test_a_tool_is_called_with_its_arguments_masked(stack: Stack) -> None:
    stack.upstream.answer_with(chat_call())
    tools = import_module("llama_index.core.tools")
    model, tool = llm(stack), tools.FunctionTool.from_defaults(fn=send_mail)
    answer = model.chat_with_tools([tool], user_msg="Mail John")
    (call,) = model.get_tool_calls_from_response(answer)
    assert (call.tool_name, call.tool_kwargs) == ("send_mail", MASKED_ARGUMENTS)


def test_a_denied_question_is_the_exception_of_the_sdk_below(stack: Stack) -> None:
    before = len(stack.upstream.requests)
    with pytest.raises(import_module("openai").PermissionDeniedError, match="Private keys may not be sent"):
        llm(stack).chat(asking(f"Is this fine? {KEY}"))
    assert len(stack.upstream.requests) == before
