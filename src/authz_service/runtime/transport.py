"""Envoy's side of one exchange, as its driver needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from authz_service.core.acts import AnswerHead
from authz_service.model_apis.base import ApiError


class Transport(Protocol):
    """Envoy's side of one exchange. Each method returns once its bytes are on their way."""

    @property
    def answer_begun(self) -> bool:
        """The caller has received the answer's headers."""
        ...

    async def forward(self, body: bytes, model: str, marks: Mapping[str, str]) -> None:
        """Let the request through to `model` with `body`; `marks` are headers of ours for the answer."""
        ...

    async def reply(self, error: ApiError, headers: Mapping[str, str]) -> None:
        """Answer in place of the model."""
        ...

    async def give(self, head: AnswerHead, body: bytes, marks: Mapping[str, str]) -> None:
        """Answer in place of the model, with a whole answer and headers of ours."""
        ...

    def mark(self, marks: Mapping[str, str]) -> None:
        """Put headers of ours on the answer, none of which has gone through yet."""
        ...

    async def answer(self, body: bytes, *, is_last: bool) -> None:
        """Let a piece of the answer through."""
        ...

    async def cut(self, error: ApiError) -> None:
        """End a begun answer with an error."""
        ...

    def abort(self, reason: str) -> None:
        """Fail the stream when the driver returns."""
        ...
