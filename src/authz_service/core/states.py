"""The states of an exchange; each holds what is true in that state only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from authz_service.core.events import AnswerRead
from authz_service.core.ports import Hold
from authz_service.values import value
from authz_service.view.answer import Usage


@value
class Reading:
    """The request has not arrived in full."""


@value
class Judging:
    """The rules are asked. `previous` is the hold that an approval for this request was lost with."""

    body: bytes
    previous: str | None = None


@value
class Opening:
    """The store is asked for a hold."""

    body: bytes


@value
class Waiting:
    """People are asked; the caller's connection stays open."""

    body: bytes
    hold: Hold


@value
class Rejudging:
    """Approved; the rules of this moment are asked before the approval is used."""

    body: bytes
    hold: Hold


@value
class Consuming:
    """The approval is about to be used, once, for this exchange."""

    body: bytes
    hold: Hold


@value
class Forwarded:
    """The model has the request."""


@value
class Answering:
    """The model answers. `collected` is what waits for the end since a rule wants the answer held."""

    status: int
    headers: Mapping[str, str]
    is_started: bool = False
    hold: AnswerRead | None = None
    collected: tuple[bytes, ...] = ()
    usage: Usage | None = None
    masked: Mapping[str, int] = field(default_factory=dict)


@value
class AnswerHeld:
    """The whole answer waits for people; the caller has received nothing of it. `hold` once opened."""

    hold: Hold | None
    usage: Usage | None


@value
class Closed:
    """The end was recorded and said; whatever still comes is ignored."""


State = (
    Reading
    | Judging
    | Opening
    | Waiting
    | Rejudging
    | Consuming
    | Forwarded
    | Answering
    | AnswerHeld
    | Closed
)
Undecided = Reading | Judging | Opening | Waiting | Rejudging | Consuming
