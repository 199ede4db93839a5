"""What a request is held to, and what an exchange does about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.core.limits_play import (
    ADMITTED,
    NOW,
    REACHED,
    STREAM,
    Judged,
    commands_of,
    drafts_of,
    piece,
)

from authz_service.audit.draft import Kind
from authz_service.core.commands import (
    Admit,
    CountRepeats,
    Forward,
    OpenHold,
    Reply,
)
from authz_service.core.events import (
    AdmissionAnswered,
    AnswerFailed,
    BodyRead,
    CallerLeft,
    Event,
    HoldAnswered,
    RequestFailed,
    RequestJudged,
    StoreFailed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.limits import (
    CountedBy,
    Demand,
    LimitReached,
    Quota,
    Rates,
)
from authz_service.core.refusals import by_error
from authz_service.core.request import Request
from authz_service.errors import Forbidden, Unavailable, Unreadable
from authz_service.policy.decision import Effect
from authz_service.view.answer import Usage

DEMAND = Demand((Quota(CountedBy.CALLER, "pseudonym", Rates(requests_per_minute=1)),), prompt=10, answer=90)


def limited(judged: Judged, effect: Effect = Effect.ALLOW) -> RequestJudged:
    return replace(judged(effect), demand=DEMAND)


def test_what_limits_count_is_admitted_before_anything_goes_on(
    request_of_alice: Request, judged: Judged
) -> None:
    (admit,) = commands_of(request_of_alice, BodyRead(b"{}"), limited(judged))
    assert isinstance(admit, Admit)
    assert admit.first.data["tokens"] == 100
    assert admit.first.data["model"] == "llama"
    record, forward = commands_of(request_of_alice, BodyRead(b"{}"), limited(judged), ADMITTED)
    assert Kind.REQUEST_RECEIVED not in drafts_of([record])
    assert isinstance(forward, Forward)
    assert forward.marks["x-ratelimit-remaining-requests"] == "0"


def test_as_many_holds_pend_as_a_limit_permits_and_the_next_request_is_refused_on_record(
    request_of_alice: Request, judged: Judged
) -> None:
    quota = Quota(CountedBy.KEY, "key_1", Rates(open_holds=1))
    other = Quota(CountedBy.CALLER, "pseudonym", Rates(concurrent=9))
    held = replace(judged(Effect.HOLD), demand=Demand((quota, other)))
    (opening,) = commands_of(request_of_alice, BodyRead(b"{}"), held, ADMITTED)
    assert isinstance(opening, OpenHold)
    assert opening.draft.quotas == (quota,)
    full = HoldAnswered(LimitReached("open_holds", CountedBy.KEY, 1, NOW, 60.0))
    record, reply = commands_of(request_of_alice, BodyRead(b"{}"), held, ADMITTED, full)
    refused = drafts_of([record])[Kind.REQUEST_REFUSED].data
    assert (refused["code"], refused["limit"]) == ("rate_limit_exceeded", "key.open_holds")
    assert isinstance(reply, Reply)
    assert (reply.error.status, reply.error.details["limit"]) == (429, "open_holds")
    assert reply.headers["retry-after"] == "60"


def test_a_request_that_people_decide_is_counted_when_it_comes(
    request_of_alice: Request, judged: Judged
) -> None:
    held = limited(judged, Effect.HOLD)
    (admit,) = commands_of(request_of_alice, BodyRead(b"{}"), held)
    assert isinstance(admit, Admit)
    (opening,) = commands_of(request_of_alice, BodyRead(b"{}"), held, ADMITTED)
    assert isinstance(opening, OpenHold)


def test_what_the_rules_deny_is_admitted_before_its_body_is_on_record_and_counts_for_no_tokens(
    request_of_alice: Request, judged: Judged
) -> None:
    quota = Quota(CountedBy.GROUP, "juniors", Rates(recorded_bytes_per_day=5))
    denied = replace(judged(Effect.DENY), demand=replace(DEMAND, quotas=(quota,), size=2))
    (admit,) = commands_of(request_of_alice, BodyRead(b"{}"), denied)
    assert isinstance(admit, Admit)
    assert (admit.demand.tokens, admit.demand.size) == (0, 2)
    said = admit.first.data
    assert (said["tokens"], said["bytes"], said["budgets"]) == (0, 2, ["juniors"])
    record, reply = commands_of(request_of_alice, BodyRead(b"{}"), denied, ADMITTED)
    drafts = drafts_of([record])
    assert list(drafts) == [Kind.REQUEST_DECIDED, Kind.REQUEST_REFUSED, Kind.EXCHANGE_ENDED]
    assert drafts[Kind.REQUEST_DECIDED].payloads["body"] == b"redacted"
    assert drafts[Kind.EXCHANGE_ENDED].data["tokens"] == 0
    assert isinstance(reply, Reply)
    assert reply.error.status == 403


@pytest.mark.parametrize("effect", list(Effect))
def test_of_what_a_limit_refuses_no_body_is_kept_whatever_the_rules_said(
    request_of_alice: Request, judged: Judged, effect: Effect
) -> None:
    exchange = Exchange(request_of_alice, keeps_originals=True)
    exchange.handle(BodyRead(b"{}"))
    asked = limited(judged, effect)
    assert asked.inspection is not None
    masked = replace(asked, inspection=replace(asked.inspection, masked={"X": 1}))
    exchange.handle(masked)
    record, _, reply = exchange.handle(AdmissionAnswered(REACHED))
    kept = {name for draft in drafts_of([record]).values() for name in draft.payloads}
    assert kept == {"caller", "headers"}
    assert isinstance(reply, Reply)
    assert reply.error.status == 429


def test_a_limit_that_is_reached_ends_it_on_record_and_uses_nothing(
    request_of_alice: Request, judged: Judged
) -> None:
    record, count, reply = commands_of(
        request_of_alice, BodyRead(b"{}"), limited(judged), AdmissionAnswered(REACHED)
    )
    drafts = drafts_of([record])
    assert list(drafts) == [Kind.REQUEST_RECEIVED, Kind.REQUEST_REFUSED, Kind.EXCHANGE_ENDED]
    assert drafts[Kind.REQUEST_RECEIVED].data["tokens"] == 0
    assert drafts[Kind.REQUEST_REFUSED].data["limit"] == "caller.requests_per_minute"
    assert drafts[Kind.EXCHANGE_ENDED].data["outcome"] == "limited"
    assert isinstance(count, CountRepeats)
    assert count.refusal.limit == "caller.requests_per_minute"
    assert isinstance(reply, Reply)
    assert (reply.error.status, reply.headers["retry-after"]) == (429, "42")


def test_a_limit_that_is_reached_again_is_counted_with_the_first_and_records_nothing_of_its_own(
    request_of_alice: Request, judged: Judged
) -> None:
    again = AdmissionAnswered(REACHED, "ses_first")
    (reply,) = commands_of(request_of_alice, BodyRead(b"{}"), limited(judged), again)
    assert isinstance(reply, Reply)
    assert (reply.error.status, reply.error.session) == (429, "ses_first")
    ended = Exchange(request_of_alice)
    ended.handle(BodyRead(b"{}"))
    ended.handle(limited(judged))
    ended.handle(again)
    assert ended.is_closed
    assert ended.handle(CallerLeft()) == []


def test_what_is_not_in_a_scope_is_counted_with_the_first_and_other_failures_are_recorded_each(
    request_of_alice: Request,
) -> None:
    narrow = Forbidden("not in its scope", code="out_of_scope")
    *_, record, count, reply = commands_of(request_of_alice, BodyRead(b"{}"), RequestFailed(narrow))
    assert Kind.REQUEST_REFUSED in drafts_of([record])
    assert isinstance(count, CountRepeats)
    assert isinstance(reply, Reply)
    *_, reply = commands_of(request_of_alice, BodyRead(b"{}"), RequestFailed(narrow, first="ses_first"))
    assert isinstance(reply, Reply)
    assert (reply.error.status, reply.error.session) == (403, "ses_first")
    failed = RequestFailed(Unreadable("no JSON", code="invalid_json"))
    commands = commands_of(request_of_alice, BodyRead(b"{}"), failed)
    assert Kind.REQUEST_REFUSED in drafts_of(commands)
    assert not [command for command in commands if isinstance(command, CountRepeats)]


@pytest.mark.parametrize("change", [{"path": "/admin/dump"}, {"method": "POST"}, {"api": "anthropic"}])
def test_what_is_not_in_a_scope_is_another_refusal_on_another_way(
    request_of_alice: Request, change: dict[str, Any]
) -> None:
    narrow = Forbidden("not in its scope", code="out_of_scope")
    one = replace(request_of_alice, api="", path="/health", method="GET")
    assert by_error(one, narrow) == by_error(replace(one, session="ses_2"), narrow)
    assert by_error(one, narrow) != by_error(replace(one, **change), narrow)


def test_the_model_that_is_not_in_a_scope_tells_refusals_apart_and_is_on_record(
    request_of_alice: Request,
) -> None:
    narrow = Forbidden("not in its scope", code="out_of_scope")
    counted = set()
    for model in ("llama", "qwen"):
        failed = RequestFailed(narrow, model=model)
        *_, record, count, _ = commands_of(request_of_alice, BodyRead(b"{}"), failed)
        assert isinstance(count, CountRepeats)
        counted.add(count.refusal)
        assert drafts_of([record])[Kind.REQUEST_REFUSED].data["model"] == model
    assert len(counted) == 2


def test_without_a_limit_nothing_is_admitted(request_of_alice: Request, judged: Judged) -> None:
    _, forward = commands_of(request_of_alice, BodyRead(b"{}"), judged(Effect.ALLOW))
    assert isinstance(forward, Forward)
    assert forward.marks == {}


def test_a_store_that_is_away_admits_nobody(request_of_alice: Request, judged: Judged) -> None:
    away = StoreFailed(Unavailable("away"), answer_begun=False)
    commands = commands_of(request_of_alice, BodyRead(b"{}"), limited(judged), away)
    reply = commands[-1]
    assert isinstance(reply, Reply)
    assert reply.error.status == 503
    assert drafts_of(commands)[Kind.REQUEST_RECEIVED]


@pytest.mark.parametrize(
    ("events", "tokens"),
    [
        ((CallerLeft(),), 10),
        ((STREAM, piece(b"data: 1\n\n" * 7), CallerLeft()), 17),
        ((STREAM, piece(b"data: 1\n\n", Usage(500, 1)), CallerLeft()), 501),
        ((STREAM, piece(b"data: 1\n\n" * 7, is_last=True)), 17),
        ((STREAM, piece(b"data: 1\n\n" * 7, Usage(1, 2), is_last=True)), None),
        ((AnswerFailed(Unavailable("x")),), 10),
    ],
)
def test_what_the_model_does_not_say_is_estimated_at_the_end(
    request_of_alice: Request, judged: Judged, events: tuple[Event, ...], tokens: int | None
) -> None:
    commands = commands_of(request_of_alice, BodyRead(b"{}"), limited(judged), ADMITTED, *events)
    assert drafts_of(commands)[Kind.EXCHANGE_ENDED].data.get("tokens") == tokens


def test_who_leaves_before_the_model_is_asked_has_used_no_tokens(
    request_of_alice: Request, judged: Judged
) -> None:
    held = limited(judged, Effect.HOLD)
    commands = commands_of(request_of_alice, BodyRead(b"{}"), held, ADMITTED, CallerLeft())
    assert drafts_of(commands)[Kind.EXCHANGE_ENDED].data["tokens"] == 0
