"""Text Generation Inference's own API: one text, token by token, and at its end all of it once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.inspection.dialects.base import Dialect, Said, documents, event

from authz_service.model_apis.tgi import Tgi


def tell(pieces: Sequence[Said]) -> bytes:
    """An event for each piece; that of the last has the whole too."""
    whole = "".join(text for _, text in pieces)
    events = []
    for i, (_, text) in enumerate([*pieces, ("text", "")]):
        is_last = i == len(pieces)
        token = {"text": text, "logprob": -0.5, "special": is_last}
        events.append(event({"index": i, "token": token, "generated_text": whole if is_last else None}))
    return b"".join(events)


def hear(stream: bytes) -> Mapping[str, str]:
    """The text of the tokens, and the whole, joined."""
    read = documents(stream)
    text = "".join(document["token"]["text"] for document in read)
    assert text == read[-1]["generated_text"]
    return {"text": text}


TGI = Dialect(Tgi(), "generate_stream", ("text",), tell, hear)
