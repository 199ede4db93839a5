"""What a request's bytes alone say to whoever decides about these bytes, read once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from authz_service.errors import Unreadable
from authz_service.framing.encoding import RequestFormat
from authz_service.framing.json_values import count_values
from authz_service.inspection.conversation import Conversation, laid_out
from authz_service.inspection.marks import MOST_MARKS, Mark, Metered, marks_in
from authz_service.inspection.reading import ReadAgain, read_again
from authz_service.masking.seams import Scanner
from authz_service.model_apis.registry import operation_named
from authz_service.view.request import Path
from authz_service.view.unread import Kind, Unread

MOST_VALUES: Final = 100_000
"""Values of a body, its objects and lists among them: reading and laying out more takes too long."""


class LeftOut(StrEnum):
    """Why a request is not laid out: it is not what its model API reads, or has too many values."""

    UNREADABLE = "unreadable"
    TOO_MANY_VALUES = "too_many_values"


@dataclass(frozen=True, slots=True)
class Shown:
    """What a request says, as far as it can be told.

    `unread` is what is no text; `marks` are what was found, all of it unless `is_marked` is false. `turn` is
    where the new turn begins. Without a `conversation`, `left_out` says why. With too many values nothing is
    told but that.
    """

    unread: tuple[Unread, ...] = ()
    marks: tuple[Mark, ...] = ()
    is_marked: bool = True
    turn: Path = ()
    conversation: Conversation | None = None
    left_out: LeftOut | None = None


def shown(
    api: str, operation: str, body: bytes, scanner: Scanner | None, has_time: Callable[[], bool]
) -> Shown:
    """What the request of that API says. `has_time` is asked now and then whether to look for more."""
    if _is_json(api, operation) and count_values(body, MOST_VALUES) == MOST_VALUES:
        return Shown(is_marked=False, left_out=LeftOut.TOO_MANY_VALUES)
    try:
        read = read_again(api, operation, body)
    except Unreadable:
        digest = hashlib.sha256(body).hexdigest()
        malformed = Unread(Kind.MALFORMED, (), "the body", len(body), digest)
        return Shown((malformed,), is_marked=False, left_out=LeftOut.UNREADABLE)
    if read is None:
        return Shown(is_marked=False, left_out=LeftOut.UNREADABLE)
    return _shown(read, body, scanner, has_time)


def _is_json(api: str, operation: str) -> bool:
    """Whether the body has values at all: a recording in a form has bytes that look like them."""
    known = operation_named(api, operation)
    return known is not None and known[1].takes is RequestFormat.JSON


def _shown(read: ReadAgain, body: bytes, scanner: Scanner | None, has_time: Callable[[], bool]) -> Shown:
    view = read.view
    metered = None if scanner is None else Metered(scanner, has_time)
    found = () if metered is None else marks_in(view, metered)
    marks = found[:MOST_MARKS]
    is_marked = metered is None or not (metered.is_cut or len(marks) < len(found))
    return Shown(view.unread, marks, is_marked, view.turn, laid_out(read, body, marks))
