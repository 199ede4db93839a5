"""One request for each model API's path, and what of a canary in it a model server could have read."""

from __future__ import annotations

import base64
import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

from tests.e2e.plain import Plain, staff
from tests.e2e.raw_client import Reply
from tests.e2e.stack import CONFIG, Stack
from tests.e2e.upstream import Upstream
from tests.e2e.upstream_answers import SSE_TYPE, Answer, Received, event, whole

CANARY = "canary.zq7@example.com"
MARK = "[EMAIL_ADDRESS]"
TEXT = f"Write to {CANARY}, or so."
T = TypeVar("T")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")


@dataclass(frozen=True, slots=True)
class Sample:
    """A path, the least body that says a text there, and an answer that its API understands."""

    path: str
    body: Callable[[str], dict[str, Any]]
    answer: Answer

    def __repr__(self) -> str:
        return self.path

    def sent(self, text: str = TEXT) -> bytes:
        """The body as most clients write it."""
        return json.dumps(self.body(text)).encode()


def _choice(**said: Any) -> Answer:
    return whole({"choices": [{"index": 0, "finish_reason": "stop", **said}]})


def _streamed(document: dict[str, Any]) -> Answer:
    return Answer(headers=SSE_TYPE, steps=(event(document),))


def _tensor(text: str) -> dict[str, Any]:
    return {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}


def _messages(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "llama", "messages": [{"role": "user", "content": text}], **more}


def _ollama(**said: Any) -> Answer:
    return whole({"model": "llama", "done": True, **said})


SAID = {"role": "assistant", "content": "ok"}
_BLOCKS = {"content": [{"type": "text", "text": "ok"}], "stop_reason": "end_turn", "usage": {}}
_MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "llama", **_BLOCKS}
_OUTPUT = [{"type": "message", "id": "n", "role": "assistant", "status": "completed", "content": []}]
_RESPONSE = {"id": "r", "object": "response", "status": "completed", "model": "llama", "output": _OUTPUT}
_VECTOR = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}]}
_TENSORS = {"model_name": "llama", "outputs": [_tensor("ok")]}
_V2 = "/v2/models/llama"

SAMPLES = (
    Sample("/v1/chat/completions", _messages, _choice(message=SAID)),
    Sample("/v1/completions", lambda t: {"model": "llama", "prompt": t}, _choice(text="ok")),
    Sample("/v1/embeddings", lambda t: {"model": "llama", "input": [t]}, whole(_VECTOR)),
    Sample("/v1/responses", lambda t: {"model": "llama", "input": t}, whole(_RESPONSE)),
    Sample("/v1/messages", lambda t: _messages(t, max_tokens=9), whole(_MESSAGE)),
    Sample("/v1/messages/count_tokens", _messages, whole({"input_tokens": 3})),
    Sample("/api/chat", lambda t: _messages(t, stream=False), _ollama(message=SAID)),
    Sample(
        "/api/generate", lambda t: {"model": "llama", "prompt": t, "stream": False}, _ollama(response="ok")
    ),
    Sample("/api/embed", lambda t: {"model": "llama", "input": t}, whole({"embeddings": [[0.5]]})),
    Sample("/api/embeddings", lambda t: {"model": "llama", "prompt": t}, whole({"embedding": [0.5]})),
    Sample("/completion", lambda t: {"prompt": t}, whole({"content": "ok"})),
    Sample("/infill", lambda t: {"input_prefix": t, "input_suffix": ""}, whole({"content": "ok"})),
    Sample("/generate", lambda t: {"inputs": t}, whole({"generated_text": "ok"})),
    Sample("/generate_stream", lambda t: {"inputs": t}, _streamed({"token": {"text": "ok"}})),
    Sample(f"{_V2}/infer", lambda t: {"inputs": [_tensor(t)]}, whole(_TENSORS)),
    Sample(f"{_V2}/versions/1/infer", lambda t: {"inputs": [_tensor(t)]}, whole(_TENSORS)),
    Sample(f"{_V2}/infer_stream", lambda t: {"inputs": [_tensor(t)]}, _streamed(_TENSORS)),
    Sample(f"{_V2}/versions/1/infer_stream", lambda t: {"inputs": [_tensor(t)]}, _streamed(_TENSORS)),
    Sample(f"{_V2}/generate", lambda t: {"text_input": t}, whole({"text_output": "ok"})),
    Sample(f"{_V2}/versions/1/generate", lambda t: {"text_input": t}, whole({"text_output": "ok"})),
    Sample(f"{_V2}/generate_stream", lambda t: {"text_input": t}, _streamed({"text_output": "ok"})),
    Sample(
        f"{_V2}/versions/1/generate_stream", lambda t: {"text_input": t}, _streamed({"text_output": "ok"})
    ),
)


class Dialects(Upstream):
    """A model server that answers each path in its own API."""

    def next_answer(self, request: Received) -> Answer:
        """What is queued, or the sample's answer."""
        if self._queue:
            return super().next_answer(request)
        named = (sample.answer for sample in SAMPLES if sample.path == request.path)
        return next(named, whole({"ok": True}))


@dataclass(frozen=True, slots=True)
class Attacker:
    """A caller who may ask, and has something to hide from the gateway."""

    caller: Plain

    @property
    def upstream(self) -> Upstream:
        """The model server."""
        return self.caller.stack.upstream

    def judge(self, what: str, sample: Sample, seen: int, status: int | None, *, masked: bool) -> None:
        """`masked`: the model got just one request, at its path, with the canary masked; else it got none."""
        came = self.upstream.requests[seen:]
        for request in came:
            assert not tells(request), f"{what}: the model read {request.body!r} at {request.path}"
        if not masked:
            assert not came, f"{what}: the model got {came[0].body!r} at {came[0].path}"
            assert status is None or 400 <= status < 500, f"{what}: {status}"
            return
        assert status == 200, f"{what}: {status}"
        assert [(request.method, request.path) for request in came] == [("POST", sample.path)], what
        assert MARK in came[0].body.decode(), f"{what}: {came[0].body!r}"

    def seen(self) -> int:
        """How many requests the model has got."""
        return len(self.upstream.requests)

    def ask(self, sample: Sample, body: bytes, *headers: tuple[str, str], target: str | None = None) -> Reply:
        """The reply to a body that is sent with its length."""
        return self.caller.ask(body, *headers, target=target or sample.path)


def at_once(attack: Callable[[Sample], T]) -> list[tuple[Sample, T]]:
    """An attack on every path at the same time: Envoy takes a second to close one that it refused."""
    with ThreadPoolExecutor(len(SAMPLES)) as pool:
        return list(zip(SAMPLES, pool.map(attack, SAMPLES), strict=True))


def attacker(folder: Path, config: str = CONFIG) -> Iterator[Attacker]:
    """One, with a gateway of its own in front of a model server that speaks every API."""
    with Stack(folder, upstream=Dialects(), config=config) as stack:
        yield Attacker(staff(stack, "mallory"))


def tells(request: Received) -> bool:
    """Whether the canary is in a request, by any reading that a model server or a model could have."""
    said = [request.path, *(f"{name}: {value}" for name, value in request.headers), *_decoded(request.body)]
    return any(_is_in(text) for text in said)


def _decoded(body: bytes) -> Sequence[str]:
    readings = [
        body.decode(encoding, "ignore") for encoding in ("utf-8", "latin-1", "utf-16-le", "utf-16-be")
    ]
    readings += [text.replace("\0", "") for text in readings]
    return [*readings, *(_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text) for text in readings)]


def _is_in(text: str) -> bool:
    plain = unicodedata.normalize("NFKC", _INVISIBLE.sub("", unquote(text))).lower()
    return CANARY in plain or any(
        CANARY.encode() in _from_base64(found).lower() for found in _BASE64.findall(text)
    )


def _from_base64(text: str) -> bytes:
    encoded = text.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(encoded[: len(encoded) - (len(encoded) % 4 == 1)] + "===")
