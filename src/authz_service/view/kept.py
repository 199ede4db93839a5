"""What a model server keeps of an exchange, by the name that its answer gives and a later request names."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple


class Result(StrEnum):
    """What is kept."""

    RESPONSE = "response"
    CONVERSATION = "conversation"
    ITEM = "item"


class Kept(NamedTuple):
    """One result. `id` is the model server's, exactly as it stands in a body; "" is nobody's ever."""

    result: Result
    id: str


NAMED_BY: Final[Mapping[str, Result]] = {
    "previous_response_id": Result.RESPONSE,
    "conversation": Result.CONVERSATION,
    "item_reference": Result.ITEM,
}
"""The fields of a request that name a result, in whatever dialect, and the type of an item that does."""
