"""The states of an exchange; each holds what is true in that state only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from authz_service.audit.draft import EntryDraft
from authz_service.core.acts import AnswerHead
from authz_service.core.events import AnswerRead, RequestJudged
from authz_service.core.stored_holds import Hold, HoldSummary
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
class Admitting:
    """The store is asked whether the limits have room; the rules have said that it may go on."""

    body: bytes
    judged: RequestJudged
    previous: str | None


@value
class Seeking:
    """The store is asked whether the answer is there already; `was_recorded` before it was."""

    body: bytes
    judged: RequestJudged
    previous: str | None
    was_recorded: bool


@value
class Opening:
    """The store is asked for a hold; where a grant covers it, the request is on record as released."""

    body: bytes
    judged: RequestJudged


@value
class Waiting:
    """People are asked; the caller's connection stays open."""

    body: bytes
    hold: HoldSummary


@value
class Rejudging:
    """Approved; the rules of this moment are asked before the approval is used.

    What was edited they are asked about twice: `original` is what they said to what the caller sent.
    """

    body: bytes
    hold: Hold
    original: RequestJudged | None = None


@value
class Consuming:
    """The approval is about to be used, once, for this exchange."""

    body: bytes
    hold: Hold
    asked: Asked | None = None


@value
class Asked:
    """The request that an answer belongs to, where the answer may have to wait; digests in hex."""

    fingerprint: str
    changes: str
    operation: str
    model: str
    marks: Mapping[str, str] = field(default_factory=dict)


@value
class Forwarded:
    """The model has the request. With `asked` its answer is kept back until it is judged as a whole."""

    asked: Asked | None = None


@value
class Answering:
    """The model answers. With `asked`, `collected` is all of it so far, and `hold` what a rule said last
    that wants it held; `originals` is the same as the model sent it, where that is kept. `given` is the
    same as the caller would get it, where values are restored in it: `restored` counts them."""

    status: int
    headers: Mapping[str, str]
    is_started: bool = False
    asked: Asked | None = None
    hold: AnswerRead | None = None
    collected: tuple[bytes, ...] = ()
    originals: tuple[bytes, ...] = ()
    usage: Usage | None = None
    masked: Mapping[str, int] = field(default_factory=dict)
    given: tuple[bytes, ...] | None = None
    restored: Mapping[str, int] = field(default_factory=dict)


@value
class AnswerHeld:
    """The whole answer waits for people; the caller has received nothing of it. `hold` once opened.

    `head` is that of the answer that came on this very stream, with its `usage`; None for who waits for
    the answer to an earlier request, or for a reviewer's. Of that `request` is the body, and what the rules
    said to it at the release. `unasked` goes on record with the hold that the store is asked for.
    """

    asked: Asked | None
    hold: HoldSummary | None
    head: AnswerHead | None = None
    usage: Usage | None = None
    request: tuple[bytes, RequestJudged] | None = None
    unasked: tuple[EntryDraft, ...] = ()


@value
class AnswerRejudging:
    """The answer is approved; the rules of this moment are asked before the approval is used."""

    held: AnswerHeld
    hold: Hold


@value
class AnswerConsuming:
    """The approval of the answer is about to be used, once, for this exchange. `body` is what it gets."""

    held: AnswerHeld
    hold: Hold
    body: bytes


@value
class Closed:
    """The end was recorded and said; whatever still comes is ignored."""


State = (
    Reading
    | Judging
    | Admitting
    | Seeking
    | Opening
    | Waiting
    | Rejudging
    | Consuming
    | Forwarded
    | Answering
    | AnswerHeld
    | AnswerRejudging
    | AnswerConsuming
    | Closed
)
Undecided = Reading | Judging | Admitting | Seeking | Opening | Waiting | Rejudging | Consuming
