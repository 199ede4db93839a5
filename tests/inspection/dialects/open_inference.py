"""The Open Inference Protocol's tensors in a stream, as MLServer tells them: two texts side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from tests.inspection.dialects.base import Dialect, Said, documents, event

from authz_service.model_apis.open_inference import OpenInference


def tell(pieces: Sequence[Said]) -> bytes:
    """An event for each piece, as the tensor of that name."""
    return b"".join(
        event(
            {
                "model_name": "llama",
                "outputs": [{"name": name, "shape": [1], "datatype": "BYTES", "data": [text]}],
            }
        )
        for name, text in pieces
    )


def hear(stream: bytes) -> Mapping[str, str]:
    """The texts of each tensor joined."""
    heard: defaultdict[str, str] = defaultdict(str)
    for document in documents(stream):
        for tensor in document["outputs"]:
            heard[tensor["name"]] += "".join(tensor["data"])
    return heard


TENSORS = Dialect(OpenInference(), "infer_stream", ("said", "thought"), tell, hear)
