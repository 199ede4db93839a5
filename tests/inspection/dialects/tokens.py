"""Dialects whose streams say each text a second time, in tokens with their probabilities."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tests.inspection.dialects import chat, completions, llamacpp, ollama, responses
from tests.inspection.dialects.base import Dialect, Said, compact, documents, event

Document = dict[str, Any]


def entries(text: str) -> list[Document]:
    """`text` in tokens of two characters, each with itself and another as what might have been."""
    return [_entry(text[i : i + 2]) for i in range(0, len(text), 2)]


def _entry(token: str) -> Document:
    known = {"id": ord(token[0]), "token": token, "bytes": list(token.encode()), "logprob": -0.5}
    return known | {"top_logprobs": [known, {"id": 1, "token": "zz", "bytes": [122, 122], "logprob": -2}]}


def lists(text: str) -> Document:
    """The same in the form of legacy completions."""
    tokens = [text[i : i + 2] for i in range(0, len(text), 2)]
    tops = [{token: -0.5, "zz": -2} for token in tokens]
    return {"tokens": tokens, "token_logprobs": [-0.5] * len(tokens), "top_logprobs": tops}


def agree(said: Sequence[Document] | Document, text: str) -> None:
    """Fails where tokens say anything that the text does not."""
    if isinstance(said, dict):
        assert "".join(said["tokens"]) == text
        for token, top in zip(said["tokens"], said["top_logprobs"], strict=True):
            assert top is None or token in top
        return
    assert "".join(entry["token"] for entry in said) == text
    for entry in said:
        if entry["bytes"] is None:
            assert entry["id"] is entry["top_logprobs"] is entry["logprob"] is None
        else:
            assert bytes(entry["bytes"]).decode() == entry["top_logprobs"][0]["token"] == entry["token"]


def _with_choices(name: str, said_in: Callable[[Document], str | None], tokens: Callable[[str], Any]) -> Any:
    """Puts tokens beside the text of each choice, or looks at them."""

    def put(document: Document) -> Document:
        for choice in document["choices"]:
            text = said_in(choice)
            choice["logprobs"] = tokens(text) if text else None
        return document

    def look(document: Document) -> None:
        for choice in document["choices"]:
            text = said_in(choice)
            said = choice["logprobs"] and (choice["logprobs"].get(name) or choice["logprobs"])
            if said and text is not None:
                agree(said, text)

    return put, look


def _put_native(document: Document) -> Document:
    if document["content"]:
        document["tokens"] = [ord(character) for character in document["content"]]
        document["completion_probabilities"] = entries(document["content"])
    return document


def _look_native(document: Document) -> None:
    if document.get("completion_probabilities"):
        agree(document["completion_probabilities"], document["content"])
        is_cut = any(entry["bytes"] is None for entry in document["completion_probabilities"])
        assert (document["tokens"] is None) == is_cut


def _put_line(document: Document) -> Document:
    text = document["message"]["content"] or document["message"].get("thinking", "")
    return document | {"logprobs": entries(text)} if text else document


def _look_line(document: Document) -> None:
    if document.get("logprobs"):
        message = document["message"]
        said = "".join(entry["token"] for entry in document["logprobs"])
        agree(document["logprobs"], message["content"] or message.get("thinking", ""))
        assert said in (message["content"], message.get("thinking"))


def _put_event(document: Document) -> Document:
    """In the delta, and in what tells the text again: a part, an item, the response."""
    if document["type"].startswith("response.output_text"):
        text = document.get("delta", document.get("text"))
        document["logprobs"] = entries(text or "")
    for part in _parts(document):
        part["logprobs"] = entries(part["text"])
    return document


def _look_event(document: Document) -> None:
    if document["type"].startswith("response.output_text"):
        agree(document["logprobs"], str(document.get("delta", document.get("text"))))
    for part in _parts(document):
        agree(part["logprobs"], part["text"])


def _parts(document: Document) -> list[Document]:
    items = [document.get("item", {}), *document.get("response", {}).get("output", ())]
    parts = [document.get("part", {}), *(part for item in items for part in item.get("content", ()))]
    return [part for part in parts if part.get("type") == "output_text"]


def _dialect(
    of: Dialect,
    put: Callable[[Document], Document],
    look: Callable[[Document], None],
    *,
    is_named: bool = False,
) -> Dialect:
    is_sse = of.content_type == "text/event-stream"

    def read(stream: bytes) -> list[Document]:
        return documents(stream if is_sse else b"data: " + stream[:-1].replace(b"\n", b"\ndata: "))

    def tell(pieces: Sequence[Said]) -> bytes:
        stream = of.tell(pieces)
        told = [put(document) for document in read(stream)]
        if not is_sse:
            return "".join(f"{compact(document)}\n" for document in told).encode()
        events = [event(document, document["type"] if is_named else None) for document in told]
        return b"".join(events) + (b"data: [DONE]\n\n" if stream.endswith(b"[DONE]\n\n") else b"")

    def hear(stream: bytes) -> Mapping[str, str]:
        for document in read(stream):
            look(document)
        return of.hear(stream)

    return replace(of, operation=f"{of.operation}-tokens", tell=tell, hear=hear)


_CHAT = _with_choices(
    "content", lambda choice: choice["delta"].get("content"), lambda text: {"content": entries(text)}
)
_COMPLETIONS = _with_choices("", lambda choice: choice["text"], lists)

WITH_TOKENS = (
    _dialect(chat.CHAT, *_CHAT),
    _dialect(completions.COMPLETIONS, *_COMPLETIONS),
    _dialect(llamacpp.LLAMACPP, _put_native, _look_native),
    _dialect(ollama.OLLAMA, _put_line, _look_line),
    _dialect(responses.RESPONSES, _put_event, _look_event, is_named=True),
)
