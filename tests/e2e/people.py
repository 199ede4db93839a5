"""What callers and reviewers do in the end-to-end tests."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import openai
from openai.types.chat import ChatCompletion
from tests.e2e.stack import Stack

from authz_api.v1.holds_pb2 import HOLD_STATE_PENDING, ListHoldsRequest
from authz_cli.hold_client import HoldClient, connect
from authz_cli.hold_json import hold_object
from authz_cli.options import Target

Found = TypeVar("Found")

PATIENCE = 100.0
"""Seconds until a test gives up on what must happen: on a busy machine any process may stand still."""


def until(look: Callable[[], Found], what: str, *, within: float = PATIENCE) -> Found:
    """What `look` finds, once that is something; fails with `what` was waited for.

    It looks once more after the end of that time, which it may have slept through itself.
    """
    deadline = time.monotonic() + within
    is_last = False
    while not (found := look()):
        assert not is_last, f"not within {within} s: {what}"
        time.sleep(0.02)
        is_last = time.monotonic() > deadline
    return found


def in_background(work: Callable[[], Found]) -> Future[Found]:
    """Run `work` in a thread that does not outlive the tests."""
    future: Future[Found] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def chat(text: str, **more: Any) -> dict[str, Any]:
    """The body of a request for a chat completion."""
    return {"model": "llama", "messages": [{"role": "user", "content": text}]} | more


def ask(client: openai.OpenAI, text: str, **options: Any) -> ChatCompletion:
    """One question, as an application asks it."""
    said: list[Any] = [{"role": "user", "content": text}]
    result = client.chat.completions.create(model="llama", messages=said, **options)
    assert isinstance(result, ChatCompletion)
    return result


def said(answer: ChatCompletion) -> str | None:
    """What the first choice says."""
    return answer.choices[0].message.content


def contractor(stack: Stack, subject: str) -> openai.OpenAI:
    """The SDK of somebody whose requests are held; it does not try again."""
    return stack.sdk(subject, "contractors", max_retries=0)


def asking(stack: Stack, subject: str, text: str, **options: Any) -> Future[ChatCompletion]:
    """A contractor's question, under way."""
    client = contractor(stack, subject)
    return in_background(lambda: ask(client, text, **options))


def connection_of(stack: Stack, subject: str, text: str, **more: Any) -> socket.socket:
    """A contractor's question on a connection that the test can close; to the SDK's it is the same."""
    body = json.dumps(chat(text, **more)).encode()
    headers = {
        "host": "gateway",
        "accept": "application/json",
        "authorization": f"Bearer {stack.token(subject, 'contractors')}",
        "content-type": "application/json",
        "content-length": str(len(body)),
    }
    lines = ["POST /v1/chat/completions HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    address = urlsplit(stack.url)
    connection = socket.create_connection((address.hostname, address.port))
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def left_waiting(stack: Stack, subject: str, text: str, **more: Any) -> dict[str, Any]:
    """The hold of a contractor who asked and left."""
    with connection_of(stack, subject, text, **more):
        hold_of(stack, subject)
    return hold_of(stack, subject, waiting=0)


def hold_of(stack: Stack, subject: str, *, waiting: int = 1, but: str = "") -> dict[str, Any]:
    """The one pending hold of `subject`, other than `but`, once as many connections wait for it."""

    def look(client: HoldClient) -> list[dict[str, Any]]:
        request = ListHoldsRequest(caller=subject, states=[HOLD_STATE_PENDING])
        found = [hold_object(hold) for hold, _ in client.holds(request)]
        return [h for h in found if h["waiting"] == waiting and h["id"] != but]

    with connect(
        _target(stack)
    ) as client:  # the command's own client: a process for each look would take long
        (hold,) = until(lambda: look(client), f"a hold of {subject} with {waiting} waiting")
    return hold


def state_of(stack: Stack, hold: dict[str, Any]) -> str:
    """The hold's state as `authz hold show` has it."""
    state: str = stack.cli_json("hold", "show", hold["id"])["state"]
    return state


def approve(stack: Stack, hold: dict[str, Any], *, check: int | None = 0, token: str | None = None) -> str:
    """Vote for a hold by its digest; what the command said."""
    command = ("hold", "approve", hold["id"], "--digest", hold["digest"], "--yes", "--reason", "fine")
    return _said(stack.cli(*command, check=check, token=token))


def approve_at_once(stack: Stack, hold: dict[str, Any]) -> None:
    """Vote for a hold without a process of its own, whose start takes seconds on a busy machine."""
    with connect(_target(stack)) as client:
        client.approve(hold["id"], digest=hold["digest"], reason="fine")


def reject(stack: Stack, hold: dict[str, Any], reason: str, *, check: int = 0) -> str:
    """Vote against a hold; what the command said."""
    return _said(stack.cli("hold", "reject", hold["id"], "--reason", reason, check=check))


def reviewer(stack: Stack, subject: str) -> str:
    """A reviewer's token for the review API."""
    return stack.token(subject, "reviewers", review=True)


def received(stack: Stack, text: str) -> list[bytes]:
    """The bodies with `text` in them that reached the model."""
    return [request.body for request in stack.upstream.requests if text.encode() in request.body]


def own_hold(stack: Stack, hold: dict[str, Any], subject: str, *groups: str) -> httpx.Response:
    """What `subject` is told of a hold at its well-known address."""
    headers = {"authorization": f"Bearer {stack.token(subject, *groups)}"}
    return httpx.get(f"{stack.url}/.well-known/authz/holds/{hold['id']}", headers=headers, timeout=60)


def sha256(body: bytes) -> str:
    """As digests are written."""
    return hashlib.sha256(body).hexdigest()


def _target(stack: Stack) -> Target:
    return Target(server=None, ca=None, token=None, data_dir=stack.data, is_data_dir_named=True)


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout + done.stderr
