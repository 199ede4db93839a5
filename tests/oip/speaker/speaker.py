"""A model for MLServer that says the same whatever it hears, and what it heard."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mlserver import MLModel  # type: ignore[import-not-found,unused-ignore]  # in an environment of its own
from mlserver.codecs import StringCodec  # type: ignore[import-not-found,unused-ignore]
from mlserver.types import (  # type: ignore[import-not-found,unused-ignore]
    InferenceRequest,
    InferenceResponse,
    ResponseOutput,
)

SAYS = "Write to john.doe@example.org, or pay with 4111 1111 1111 1111 today."
SIZE = 3
"""Characters of a piece."""


class Speaker(MLModel):  # type: ignore[misc,unused-ignore]  # it has no types where it is not installed
    """Texts in, texts out."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Both texts as tensors, and one of floats."""
        heard = [text for tensor in payload.inputs for text in StringCodec.decode_input(tensor)]
        score = ResponseOutput(name="score", shape=[1], datatype="FP32", data=[0.5])
        outputs = [
            StringCodec.encode_output("said", [SAYS]),
            StringCodec.encode_output("heard", heard),
            score,
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)

    async def predict_stream(
        self, payloads: AsyncIterator[InferenceRequest]
    ) -> AsyncIterator[InferenceResponse]:
        """What it says in pieces."""
        async for _ in payloads:
            for at in range(0, len(SAYS), SIZE):
                piece = StringCodec.encode_output("said", [SAYS[at : at + SIZE]])
                yield InferenceResponse(model_name=self.name, outputs=[piece])
