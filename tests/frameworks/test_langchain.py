"""LangChain, unchanged but for where it calls and what key it has, through the whole gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest
from tests.e2e import test_sdk_anthropic as anthropic_answers
from tests.e2e import test_sdk_ollama as ollama_answers
from tests.e2e import test_sdk_responses as responses_answers
from tests.e2e.stack import Stack
from tests.e2e.upstream_answers import Answer, completion, stream, whole

KEY = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp\n-----END PRIVATE KEY-----"
SAID = "Write to john.doe@example.org, or pay with 4111 1111 1111 1111 today."
MASKED = "Write to [EMAIL_ADDRESS], or pay with [CREDIT_CARD] today."
ARGUMENTS = {"to": "john@example.org", "card": 4111111111111111, "n": 1}
MASKED_ARGUMENTS = {"to": "[EMAIL_ADDRESS]", "card": "[CREDIT_CARD]", "n": 1}
PIECES = [SAID[i : i + 3] for i in range(0, len(SAID), 3)]

Chat = Callable[[Stack], Any]


def send_mail(to: str, card: int, n: int) -> str:
    """Sends a mail."""
    return f"{to} {card} {n}"


def openai(stack: Stack, **options: Any) -> Any:
    key = stack.token("alice", "staff")
    package = import_module("langchain_openai")
    return package.ChatOpenAI(
        base_url=f"{stack.url}/v1", api_key=key, model="llama", max_retries=0, **options
    )


def responses(stack: Stack) -> Any:
    return openai(stack, use_responses_api=True)


def anthropic(stack: Stack) -> Any:
    key = stack.token("alice", "staff")
    package = import_module("langchain_anthropic")
    return package.ChatAnthropic(
        base_url=stack.url, api_key=key, model_name="llama", max_retries=0, max_tokens=64
    )


def ollama(stack: Stack) -> Any:
    headers = {"authorization": f"Bearer {stack.token('alice', 'staff')}"}
    package = import_module("langchain_ollama")
    return package.ChatOllama(base_url=stack.url, model="llama", client_kwargs={"headers": headers})


def chat_call() -> Answer:
    function = {"name": "send_mail", "arguments": json.dumps(ARGUMENTS)}
    return completion(None, tool_calls=[{"id": "call_1", "type": "function", "function": function}])


def responses_call() -> Answer:
    named = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "send_mail"}
    return responses_answers.response(named | {"arguments": json.dumps(ARGUMENTS), "status": "completed"})


def anthropic_call() -> Answer:
    use = {"type": "tool_use", "id": "toolu_1", "name": "send_mail", "input": ARGUMENTS}
    return anthropic_answers.message(use)


def ollama_lines(*messages: dict[str, Any]) -> Answer:
    """Ollama's framework streams even where it is asked for a whole answer."""
    last = ollama_answers.message("") | ollama_answers.COUNTS
    return ollama_answers.lines(*(message | {"done": False} for message in messages), last)


def ollama_call() -> Answer:
    call = {"function": {"name": "send_mail", "arguments": ARGUMENTS}}
    return ollama_lines(ollama_answers.message("", tool_calls=[call]))


WHOLE: dict[Chat, Callable[[], Answer]] = {
    openai: lambda: completion(SAID),
    responses: lambda: responses_answers.response(responses_answers.message(SAID)),
    anthropic: lambda: anthropic_answers.message(anthropic_answers.text(SAID)),
    ollama: lambda: ollama_lines(ollama_answers.message(SAID)),
}
STREAMED: dict[Chat, Callable[[], Answer]] = {
    openai: lambda: stream(PIECES),
    responses: lambda: responses_answers.streamed(SAID, 3),
    anthropic: lambda: anthropic_answers.streamed(SAID, 3),
    ollama: lambda: ollama_lines(*map(ollama_answers.message, PIECES)),
}
CALLS: dict[Chat, Callable[[], Answer]] = {
    openai: chat_call,
    responses: responses_call,
    anthropic: anthropic_call,
    ollama: ollama_call,
}
each = pytest.mark.parametrize("chat", WHOLE, ids=lambda chat: chat.__name__)


def said_by(message: Any) -> str:
    """The text of a message or of a piece of one."""
    return str(message.text if isinstance(message.text, str) else message.text())


@each
def test_a_question_and_its_answer_are_masked(stack: Stack, chat: Chat) -> None:
    stack.upstream.answer_with(WHOLE[chat]())
    answer = chat(stack).invoke([("system", "Ask joe@example.com"), ("human", "I am jane@example.com")])
    assert said_by(answer) == MASKED
    sent = json.dumps(stack.upstream.requests[-1].json())
    assert "Ask [EMAIL_ADDRESS]" in sent
    assert "I am [EMAIL_ADDRESS]" in sent


@each
def test_a_stream_is_masked_across_its_pieces(stack: Stack, chat: Chat) -> None:
    stack.upstream.answer_with(STREAMED[chat]())
    pieces = [said_by(piece) for piece in chat(stack).stream("Tell me")]
    assert "".join(pieces) == MASKED
    assert len([piece for piece in pieces if piece]) > 3


@each
def test_a_tool_is_called_with_its_arguments_masked(stack: Stack, chat: Chat) -> None:
    stack.upstream.answer_with(CALLS[chat]())
    answer = chat(stack).bind_tools([send_mail]).invoke("Mail John")
    (call,) = answer.tool_calls
    assert (call["name"], call["args"]) == ("send_mail", MASKED_ARGUMENTS)


@each
def test_a_denied_question_is_the_exception_of_the_sdk_below(stack: Stack, chat: Chat) -> None:
    before = len(stack.upstream.requests)
    with pytest.raises(Exception, match="Private keys may not be sent") as denied:
        chat(stack).invoke(f"Is this fine? {KEY}")
    families = {kind.__module__.split(".")[0] for kind in type(denied.value).__mro__}
    assert families & {"openai", "anthropic", "ollama"}
    assert len(stack.upstream.requests) == before


def test_log_probabilities_are_cut_with_the_text(stack: Stack) -> None:
    text = "Ask john@example.org now"
    tokens = [text[i : i + 4] for i in range(0, len(text), 4)]
    entries = [{"token": t, "bytes": list(t.encode()), "logprob": -0.5, "top_logprobs": []} for t in tokens]
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    head = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
    stack.upstream.answer_with(whole(head | {"choices": [choice | {"logprobs": {"content": entries}}]}))
    answer = openai(stack, logprobs=True, top_logprobs=2).invoke("Whom?")
    assert answer.content == "Ask [EMAIL_ADDRESS] now"
    told = answer.response_metadata["logprobs"]["content"]
    assert "".join(entry["token"] for entry in told) == "Ask [EMAIL_ADDRESS] now"
    assert [entry["bytes"] is None for entry in told] == [False, True, True, True, True, False]
