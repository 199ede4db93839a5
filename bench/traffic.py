"""What is asked and answered: a prompt and answers of usual sizes, with an address to mask in each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from bench.plan import Shape

PLACEHOLDER: Final = b"[EMAIL_ADDRESS]"
ADDRESS: Final = "m.quillfeather@example.com"
GIVEAWAY: Final = b"quillfeather"
"""A part of the address that stands within one token."""

DELTAS: Final = 100
PACED_DELTAS: Final = 12
DELTA_SECONDS: Final = 0.02
FIRST_DELTA_SECONDS: Final = 0.02

SAW_ADDRESS: Final = "fp_saw_address"
SAW_NONE: Final = "fp_saw_none"
"""The answer's `system_fingerprint` tells what of the prompt came to the model."""

_SYSTEM = (
    "You are a careful assistant of the customer service. Answer in full sentences, do not invent order "
    "numbers, and say so when you do not know. Never promise a refund; a colleague decides about those. "
)
_QUESTION = (
    "A customer wrote this morning that the parcel of last week has not arrived, although the carrier "
    "says that it was handed over on Tuesday at noon. She would like to know whom she can call, whether "
    "a second parcel can be sent before the weekend, and what happens when the first one turns up after "
    f"all. Her address is {ADDRESS}. Please draft a short and friendly reply that she can understand "
    "without knowing our words for things, and end it with the next step that we shall take for her. "
)
_ANSWER = (
    "Thank you for writing to us , and I am sorry that the parcel has not reached you yet . We have asked "
    "the carrier to look into it today , and will write to m .quillfeather @example .com as soon as there "
    "is news . If it does not turn up by Thursday , a second one leaves our house on Friday morning , so "
    "that it is with you before the weekend . Should the first one come after all , please keep both until "
    "we have called you ; there is nothing that you have to pay or to send back by yourself . The next "
    "step is ours . "
)
_HEAD = {"id": "chatcmpl-8f3a61c2d7", "created": 1_790_000_000, "model": "bench"}
_USAGE = {"prompt_tokens": 212, "completion_tokens": DELTAS, "total_tokens": 212 + DELTAS}


def request_body(shape: Shape) -> bytes:
    """A chat completion request of about 1 KB for the model that answers in this shape."""
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _QUESTION}]
    asked: dict[str, object] = {"model": shape.value, "messages": messages, "temperature": 0.2}
    if shape is not Shape.WHOLE:
        asked["stream"] = True
    return _compact(asked)


def completion(fingerprint: str) -> bytes:
    """A whole answer of about 1 KB."""
    message = {"role": "assistant", "content": "".join(tokens())}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {**_HEAD, "object": "chat.completion", "system_fingerprint": fingerprint, "choices": [choice]}
    return _compact(answer | {"usage": _USAGE})


def events(fingerprint: str, *, deltas: int) -> list[bytes]:
    """A streamed answer: the role, one event for each token, the end. Short ones have the address too."""
    words = tokens()
    start = words.index(" m") - 2 if deltas < len(words) else 0
    said = [{"role": "assistant", "content": ""}, *({"content": t} for t in words[start : start + deltas])]
    stream = [_event(fingerprint, delta) for delta in said]
    return [*stream, _event(fingerprint, {}, finish="stop"), b"data: [DONE]\n\n"]


def tokens() -> Sequence[str]:
    """The answer's text, cut as models cut it: a word has the space before it, the address is in pieces."""
    words = _ANSWER.split()
    glued = [w if not i or w[0] in ".,;@" else f" {w}" for i, w in enumerate(words)]
    return (glued * (DELTAS // len(glued) + 1))[:DELTAS]


def _event(fingerprint: str, delta: object, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {**_HEAD, "object": "chat.completion.chunk", "system_fingerprint": fingerprint}
    return b"data: " + _compact(chunk | {"choices": [choice]}) + b"\n\n"


def _compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
