"""What is asked and answered: prompts and answers of usual sizes, with an address and a card in each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from bench.plan import Shape

ADDRESS: Final = "m.quillfeather@example.com"
CARD: Final = "4000 0566 5566 5556"
GIVEAWAYS: Final = (b"quillfeather", b"0566 5566")
"""A part of each, by which it is found."""

DELTAS: Final = 100
DELTA_SECONDS: Final = 0.02
FIRST_DELTA_SECONDS: Final = 0.02
PACED_SECONDS: Final = FIRST_DELTA_SECONDS + (DELTAS + 1) * DELTA_SECONDS
"""How long the model takes for a paced answer: its deltas and its end."""

LARGE_CHARACTERS: Final = 9_950

SAW_SECRET: Final = "fp_saw_secret"
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
    f"all. Her address is {ADDRESS}, and she has paid with card {CARD} as she always does. Please "
    "draft a short and friendly reply that she can understand without knowing our words for things, say "
    "in one sentence what the carrier told us and in another what we do about it, and end the reply with "
    "the very next step that we shall take for her, and with the day on which we shall take it. "
)
_CARD_MARK = "<card>"
_CARD_PIECES = (" 400", "0", " ", "056", "6", " ", "556", "6", " ", "555", "6")
_ANSWER = (
    "Thank you for writing to us , and I am sorry that the parcel has not reached you yet . We have asked "
    "the carrier to look into it today , and will write to m .quillfeather @example .com as soon as there "
    f"is news . What you have paid with {_CARD_MARK} stays with us until then . If it does not turn up by "
    "Thursday , a second one leaves our house on Friday morning , so that it is with you before the weekend "
    ". Thank you ."
)
_FILLER = (
    " Should the first one come after all, please keep both until we have called you; there is nothing that "
    "you have to pay or to send back by yourself, and the carrier knows that nobody needs to be at home."
)
_HEAD = {"id": "chatcmpl-8f3a61c2d7", "created": 1_790_000_000, "model": "bench"}
_USAGE = {"prompt_tokens": 240, "completion_tokens": DELTAS, "total_tokens": 240 + DELTAS}


def request_body(shape: Shape) -> bytes:
    """A chat completion request of about 1 KiB for the model that answers in this shape."""
    messages = [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": _QUESTION}]
    asked: dict[str, object] = {"model": shape.value, "messages": messages, "temperature": 0.2}
    if shape.is_stream:
        asked["stream"] = True
    return _compact(asked)


def completion(fingerprint: str, shape: Shape) -> bytes:
    """A whole answer: of about 1 KB, or of 10 KiB."""
    message = {"role": "assistant", "content": text(shape)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    answer = {**_HEAD, "object": "chat.completion", "system_fingerprint": fingerprint, "choices": [choice]}
    return _compact(answer | {"usage": _USAGE})


def events(fingerprint: str) -> list[bytes]:
    """A streamed answer: the role, one event for each token, the end."""
    said = [{"role": "assistant", "content": ""}, *({"content": token} for token in tokens())]
    stream = [_event(fingerprint, delta) for delta in said]
    return [*stream, _event(fingerprint, {}, finish="stop"), b"data: [DONE]\n\n"]


EVENTS: Final = DELTAS + 3


def text(shape: Shape) -> str:
    """What the model says in this shape; in a large answer the address and the card are in the middle."""
    said = "".join(tokens())
    if shape is not Shape.LARGE:
        return said
    filler = (_FILLER * (LARGE_CHARACTERS // len(_FILLER)))[: (LARGE_CHARACTERS - len(said)) // 2]
    return f"{filler} {said}{filler}"


def tokens() -> Sequence[str]:
    """The answer's text, cut as models cut it: a word has the space before it, address and card are in
    pieces."""
    glued: list[str] = []
    for word in _ANSWER.split():
        if word == _CARD_MARK:
            glued += _CARD_PIECES
        else:
            glued.append(word if not glued or word[0] in ".,;@" else f" {word}")
    if len(glued) != DELTAS:
        raise ValueError(f"an answer of {DELTAS} tokens, not {len(glued)}")
    return glued


def _event(fingerprint: str, delta: object, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {**_HEAD, "object": "chat.completion.chunk", "system_fingerprint": fingerprint}
    return b"data: " + _compact(chunk | {"choices": [choice]}) + b"\n\n"


def _compact(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
