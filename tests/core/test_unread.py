"""What a request carries unread is on record with the decision, refused or not, and never its content."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.commands import OpenHold, Record
from authz_service.core.events import BodyRead, RequestFailed, RequestJudged
from authz_service.core.exchange import Exchange
from authz_service.core.request import Request
from authz_service.errors import Unreadable
from authz_service.policy.decision import Effect
from authz_service.view import unread as unread_values
from authz_service.view.unread import Unread

PHOTO = Unread(unread_values.Kind.IMAGE, ("a",), "a", 5, "ab", type="image/png")


def carrying(judged: RequestJudged) -> RequestJudged:
    assert judged.inspection is not None
    view = replace(judged.inspection.view, unread=(PHOTO,))
    return replace(judged, inspection=replace(judged.inspection, view=view))


def drafts(request: Request, event: RequestJudged | RequestFailed) -> dict[Kind, EntryDraft]:
    exchange = Exchange(request)
    exchange.handle(BodyRead(b"body"))
    for command in exchange.handle(event):
        match command:
            case Record(found):
                return {draft.kind: draft for draft in found}
            case OpenHold(hold):
                return {draft.kind: draft for draft in hold.entries}
            case _:
                pass
    raise AssertionError("nothing was recorded")


def test_whatever_is_decided_the_record_says_what_was_unread(
    request_of_alice: Request, judged: Callable[..., RequestJudged]
) -> None:
    for effect in Effect:
        decided = drafts(request_of_alice, carrying(judged(effect)))[Kind.REQUEST_DECIDED]
        (said,) = json.loads(decided.payloads["unread"])
        assert (said["kind"], said["type"], said["size"], said["sha256"]) == ("image", "image/png", 5, "ab")
    decided = drafts(request_of_alice, judged(Effect.ALLOW))[Kind.REQUEST_DECIDED]
    assert "unread" not in decided.payloads


def test_a_refusal_for_what_is_unread_is_recorded_with_what_was_decided(
    request_of_alice: Request, judged: Callable[..., Any]
) -> None:
    failed = RequestFailed(Unreadable("not text", code="unsupported_content"), carrying(judged(Effect.ALLOW)))
    found = drafts(request_of_alice, failed)
    assert list(found) == [
        Kind.REQUEST_RECEIVED,
        Kind.REQUEST_DECIDED,
        Kind.REQUEST_REFUSED,
        Kind.EXCHANGE_ENDED,
    ]
    assert json.loads(found[Kind.REQUEST_DECIDED].payloads["unread"])[0]["kind"] == "image"
    assert "body" not in found[Kind.REQUEST_DECIDED].payloads
    assert found[Kind.REQUEST_REFUSED].data["code"] == "unsupported_content"
