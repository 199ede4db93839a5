"""The demo model against real sockets: whole and streamed, with chunked requests and bad ones."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from authz_service.commands.demo_answers import RECORD
from authz_service.commands.demo_model import DemoModel


@pytest.fixture(scope="module")
def server() -> Iterator[DemoModel]:
    with DemoModel("127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def sdk(server: DemoModel) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"http://127.0.0.1:{server.port}/v1", api_key="none", max_retries=0) as sdk:
        yield sdk


@pytest.fixture
def http(server: DemoModel) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60, trust_env=False) as client:
        yield client


def ask(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def talk(server: DemoModel, request: bytes) -> bytes:
    """What the server sends until it closes the connection."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        connection.sendall(request)
        received = b""
        while piece := connection.recv(65536):
            received += piece
        return received


def test_it_repeats_what_it_was_asked(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="any", messages=ask("Good morning"))
    assert answer.choices[0].message.content == "You said: Good morning"
    assert answer.usage is not None
    assert (answer.model, answer.usage.prompt_tokens, answer.usage.completion_tokens) == ("any", 2, 4)


def test_it_tells_what_it_received(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="m", messages=ask("My e-mail is [X]. What did you receive?"))
    assert "My e-mail is [X]." in str(answer.choices[0].message.content)


def test_a_stream_says_word_by_word_what_the_whole_answer_says(sdk: openai.OpenAI) -> None:
    stream = sdk.chat.completions.create(
        model="m",
        messages=ask("the customer record, please"),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(piece or "" for piece in pieces) == RECORD
    assert len([piece for piece in pieces if piece]) == len(RECORD.split())
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []


def test_several_choices_take_turns(sdk: openai.OpenAI) -> None:
    said = {0: "", 1: ""}
    for chunk in sdk.chat.completions.create(model="m", messages=ask("hello"), n=2, stream=True):
        for choice in chunk.choices:
            said[choice.index] += choice.delta.content or ""
    assert said == {0: "You said: hello", 1: "You said: hello (This is choice 2.)"}


@pytest.mark.parametrize("stream", [False, True])
def test_it_calls_the_first_tool_with_the_prompt(http: httpx.Client, stream: bool) -> None:
    schema = {"properties": {"city": {"type": "string"}, "days": {"type": ["integer", "null"]}}}
    tool = {"type": "function", "function": {"name": "get_weather", "parameters": schema}}
    body = {"model": "m", "messages": ask("in Bern"), "tools": [tool], "stream": stream}
    answer = http.post("/v1/chat/completions", json=body)
    if stream:
        events = [json.loads(line[6:]) for line in answer.text.split("\n\n") if line.startswith("data: {")]
        calls = [call for e in events for call in e["choices"][0]["delta"].get("tool_calls", [])]
        name, arguments = (
            calls[0]["function"]["name"],
            "".join(call["function"]["arguments"] for call in calls),
        )
        assert answer.text.endswith("data: [DONE]\n\n")
    else:
        function = answer.json()["choices"][0]["message"]["tool_calls"][0]["function"]
        name, arguments = function["name"], function["arguments"]
    assert name == "get_weather"
    assert json.loads(arguments) == {"city": "in Bern", "days": 1}


def test_a_tools_result_is_answered_in_words(sdk: openai.OpenAI) -> None:
    messages: list[Any] = [*ask("?"), {"role": "tool", "tool_call_id": "c", "content": "sunny"}]
    answer = sdk.chat.completions.create(model="m", messages=messages)
    assert answer.choices[0].message.content == "The tool said: sunny"


def test_an_answer_is_cut_at_max_tokens(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="m", messages=ask("count to 100"), max_tokens=3)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("1 2 3", "length")


def test_models_and_health_are_answered(sdk: openai.OpenAI, http: httpx.Client) -> None:
    assert [model.id for model in sdk.models.list()] == ["demo"]
    assert http.get("/health").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/health", 405),
        ("GET", "/elsewhere", 404),
        ("POST", "/elsewhere", 404),
    ],
)
def test_other_paths_and_methods_are_refused(http: httpx.Client, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b'{"messages": 5}',
        b'{"messages": ["x"]}',
        b'{"messages": [], "n": 99}',
        b'{"messages": [], "tools": [{"type": "web_search"}]}',
        b'{"messages": [], "tools": 5}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_bad_body_is_a_clear_error_on_a_connection_that_lives_on(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/v1/chat/completions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]
    assert http.get("/health").status_code == 200


def test_a_chunked_body_is_read_and_the_connection_is_used_again(server: DemoModel) -> None:
    body = json.dumps({"model": "m", "messages": ask("hi")}).encode()
    first, second = body[:9], body[9:]
    head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    chunked = b"%x;note=1\r\n%b\r\n%X\r\n%b\r\n0\r\nx-trailer: 1\r\n\r\n" % (
        len(first),
        first,
        len(second),
        second,
    )
    last = b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    received = talk(server, head + chunked + last)
    assert received.count(b"HTTP/1.1 200") == 2
    assert b"You said: hi" in received


@pytest.mark.parametrize(
    "rest",
    [
        b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"content-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"content-length: -1\r\n\r\n",
        b"content-length: 99999999999999\r\n\r\n",
        b"transfer-encoding: gzip\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\nxyz\r\n",
        b"transfer-encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        b"transfer-encoding: chunked\r\n\r\nfffffffffffffff\r\n",
    ],
)
def test_a_body_whose_end_is_in_doubt_closes_the_connection(server: DemoModel, rest: bytes) -> None:
    received = talk(server, b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + rest)
    assert received.startswith(b"HTTP/1.1 400")
    assert received.count(b"HTTP/1.1") == 1


def test_a_client_that_leaves_in_the_middle_harms_nobody(server: DemoModel, http: httpx.Client) -> None:
    body = {"model": "m", "stream": True, "messages": ask("count to 999")}
    with http.stream("POST", "/v1/chat/completions", json=body) as answer:
        next(answer.iter_raw())
    assert http.get("/health").status_code == 200


def test_the_command_prints_its_port_and_serves() -> None:
    command = [sys.executable, "-m", "authz_service.commands.demo_model", "--port", "0", "--delay", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            url = f"http://127.0.0.1:{port}/health"
            assert httpx.get(url, timeout=60, trust_env=False).status_code == 200
        finally:
            process.terminate()
