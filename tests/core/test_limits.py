"""What a request is held to, and what an exchange does about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.commands import (
    Admit,
    Command,
    CountRepeats,
    Forward,
    OpenHold,
    Record,
    RecordLater,
    Reply,
)
from authz_service.core.events import (
    AdmissionAnswered,
    AnswerFailed,
    AnswerRead,
    AnswerStarted,
    BodyRead,
    CallerLeft,
    Event,
    HoldAnswered,
    RequestFailed,
    RequestJudged,
    StoreFailed,
)
from authz_service.core.exchange import Exchange
from authz_service.core.limit_headers import limit_reached, room
from authz_service.core.limits import (
    Admitted,
    Allowance,
    CountedBy,
    Demand,
    Limit,
    LimitReached,
    Quota,
    Rates,
    demand_of,
    estimated_answer,
    quotas_of,
)
from authz_service.core.refusals import by_error
from authz_service.core.request import Request
from authz_service.errors import Forbidden, Unavailable, Unreadable
from authz_service.inspection.results import AnswerStep
from authz_service.policy.decision import Effect
from authz_service.view.answer import Usage
from authz_service.view.caller import API_KEYS, Caller
from authz_service.view.request import RequestView

NOW = 1_800_000_000.0
DEMAND = Demand((Quota(CountedBy.CALLER, "pseudonym", Rates(requests_per_minute=1)),), prompt=10, answer=90)
ADMITTED = AdmissionAnswered(Admitted(NOW, Allowance(1, 0, 60.0)))
REACHED = LimitReached("requests_per_minute", CountedBy.CALLER, 1, NOW, 41.2)
STREAM = AnswerStarted(200, {"content-type": "text/event-stream"}, is_last=False)
ALICE = Caller("https://id", "alice", NOW + 3600, ("staff",))

Judged = Callable[..., RequestJudged]


def commands_of(request: Request, *events: Event) -> list[Command]:
    exchange = Exchange(request)
    commands: list[Command] = []
    for event in events:
        commands = exchange.handle(event)
    return commands


def drafts_of(commands: Sequence[Command]) -> dict[Kind, EntryDraft]:
    recorded = [c for c in commands if isinstance(c, Record | RecordLater)]
    return {draft.kind: draft for command in recorded for draft in command.drafts}


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


def piece(body: bytes, usage: Usage | None = None, *, is_last: bool = False) -> AnswerRead:
    return AnswerRead(AnswerStep(body, {}, {}, usage=usage, is_last=is_last))


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


def view(**parameters: object) -> RequestView:
    return RequestView(
        "openai_chat", "chat", "llama", False, (), parameters=parameters, token_estimate=10, choices=2
    )


def limit(by: CountedBy, *only: str, **rates: int) -> Limit:
    return Limit(by, Rates(**rates), frozenset(only))


def test_of_all_that_is_meant_for_a_request_the_lowest_counts() -> None:
    limits = (
        limit(CountedBy.CALLER, requests_per_minute=60, concurrent=4),
        limit(CountedBy.CALLER, "staff", requests_per_minute=90, tokens_per_day=7),
        limit(CountedBy.CALLER, "interns", requests_per_minute=1),
        limit(CountedBy.MODEL, "llama", concurrent=3),
        limit(CountedBy.MODEL, "other", concurrent=1),
        limit(CountedBy.KEY, requests_per_minute=5),
    )
    demand = demand_of(limits, ALICE, "p", "llama", view(max_tokens=50))
    assert demand is not None
    assert demand.quotas == (
        Quota(CountedBy.CALLER, "p", Rates(requests_per_minute=60, concurrent=4, tokens_per_day=7)),
        Quota(CountedBy.MODEL, "llama", Rates(concurrent=3)),
    )
    assert (demand.prompt, demand.answer, demand.tokens) == (10, 100, 110)


def test_a_limit_of_some_models_is_one_of_its_own_and_for_requests_to_these(
    request_of_alice: Request,
) -> None:
    limits = (
        limit(CountedBy.CALLER, requests_per_minute=60),
        replace(limit(CountedBy.CALLER, requests_per_minute=5), models=frozenset({"other", "llama"})),
    )
    of_all = Quota(CountedBy.CALLER, "p", Rates(requests_per_minute=60))
    of_two = Quota(CountedBy.CALLER, "p", Rates(requests_per_minute=5), ("llama", "other"))
    found = {model: demand_of(limits, ALICE, "p", model, view()) for model in ("llama", "third", "")}
    assert {model: demand.quotas for model, demand in found.items() if demand} == {
        "llama": (of_all, of_two),
        "third": (of_all,),
        "": (of_all,),
    }
    assert quotas_of(limits, ALICE, "p") == (of_all, of_two)
    reached = replace(REACHED, models=("llama", "other"))
    said = limit_reached(reached, api="openai_chat", session="ses_1").error.message
    assert "one caller may have of llama, other; there is room" in said


def test_whose_groups_may_be_missing_has_the_limits_of_every_group() -> None:
    limits = (limit(CountedBy.CALLER, "interns", requests_per_minute=1),)
    assert demand_of(limits, ALICE, "p", "llama", view()) is None
    assert demand_of(limits, replace(ALICE, groups_complete=False), "p", "llama", view()) is not None


def test_the_budgets_of_groups_are_counted_under_their_names() -> None:
    both = Limit(CountedBy.GROUP, Rates(tokens_per_day=9), frozenset({"staff", "interns"}), "all")
    other = Limit(CountedBy.GROUP, Rates(tokens_per_day=7), frozenset({"interns"}), "young")
    demand = demand_of((both, other), ALICE, "p", "llama", view(), size=11)
    assert demand is not None
    assert demand.quotas == (Quota(CountedBy.GROUP, "all", Rates(tokens_per_day=9)),)
    assert (demand.budgets, demand.size) == (("all",), 11)
    unsure = demand_of((both, other), replace(ALICE, groups_complete=False), "p", "llama", view())
    assert unsure is not None
    assert unsure.budgets == ("all",)
    assert unsure.quotas == (*demand.quotas, Quota(CountedBy.CALLER, "p", Rates(tokens_per_day=7)))


def test_whose_groups_may_be_missing_uses_up_no_budget_of_a_group_that_the_token_does_not_name() -> None:
    limits = (
        limit(CountedBy.CALLER, tokens_per_day=5, concurrent=2),
        Limit(CountedBy.GROUP, Rates(tokens_per_day=9, requests_per_minute=3), frozenset({"a"}), "one"),
        Limit(CountedBy.GROUP, Rates(requests_per_minute=4), frozenset({"b"}), "two"),
    )
    stranger = replace(ALICE, groups=(), groups_complete=False)
    demand = demand_of(limits, stranger, "p", "llama", view())
    assert demand is not None
    own = Rates(requests_per_minute=3, tokens_per_day=5, concurrent=2)
    assert demand.quotas == (Quota(CountedBy.CALLER, "p", own),)
    assert demand.budgets == ()


def test_the_entry_that_it_begins_with_says_what_it_counts_for_and_the_end_what_is_on_record(
    request_of_alice: Request, judged: Judged
) -> None:
    quota = Quota(CountedBy.GROUP, "juniors", Rates(recorded_bytes_per_day=5))
    asked = replace(judged(Effect.ALLOW), demand=Demand((quota,), size=2))
    (admit,) = commands_of(request_of_alice, BodyRead(b"{}"), asked)
    assert isinstance(admit, Admit)
    assert (admit.first.data["bytes"], admit.first.data["budgets"]) == (2, ["juniors"])
    piece = AnswerRead(AnswerStep(b"abc", {}, {}, is_last=True), original=b"defg")
    commands = commands_of(request_of_alice, BodyRead(b"{}"), asked, ADMITTED, STREAM, piece)
    assert drafts_of(commands)[Kind.EXCHANGE_ENDED].data["bytes"] == 2 + 3 + 4
    reached = LimitReached("recorded_bytes_per_day", CountedBy.GROUP, 5, NOW, 7000.0, 0)
    reply = commands_of(request_of_alice, BodyRead(b"{}"), asked, AdmissionAnswered(reached))[-1]
    assert isinstance(reply, Reply)
    assert (
        "5 recorded bytes in a day is the most that the members of your group may have" in reply.error.message
    )
    assert not [name for name in reply.headers if "ratelimit" in name]


def test_a_key_has_the_limits_of_keys_and_of_its_scope() -> None:
    key = Caller(API_KEYS, "batch", NOW, (), claims={"key": "key_1"}, scope=("model:*", "tokens:500"))
    limits = (limit(CountedBy.KEY, "batch", tokens_per_day=900), limit(CountedBy.KEY, "other", concurrent=1))
    demand = demand_of(limits, key, "p", "llama", None)
    assert demand == Demand((Quota(CountedBy.KEY, "key_1", Rates(tokens_per_day=500)),))
    service = replace(key, issuer="https://id")
    demand = demand_of((), service, "p", "llama", None)
    assert demand == Demand((Quota(CountedBy.CALLER, "p", Rates(tokens_per_day=500)),))


@pytest.mark.parametrize(
    ("content_type", "released", "tokens"),
    [
        ("text/event-stream; charset=utf-8", b"data: a\n\n" * 3, 3),
        ("text/event-stream", b"data: " + b"many words " * 300 + b"\n\n", 11),
        ("application/x-ndjson", b"{}\n" * 4, 4),
        ("application/json", b"x" * 400, 100),
    ],
)
def test_an_answer_is_estimated_by_its_framing(content_type: str, released: bytes, tokens: int) -> None:
    assert estimated_answer(released, content_type) == tokens


def test_anthropic_has_its_own_names_and_moments() -> None:
    admitted = Admitted(NOW, Allowance(5, 4, 60.0), Allowance(100, -3, 86_400.0))
    assert room(admitted, api="anthropic") == {
        "anthropic-ratelimit-requests-limit": "5",
        "anthropic-ratelimit-requests-remaining": "4",
        "anthropic-ratelimit-requests-reset": "2027-01-15T08:01:00Z",
        "anthropic-ratelimit-tokens-limit": "100",
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2027-01-16T08:00:00Z",
    }
    assert room(admitted, api="openai_chat")["x-ratelimit-reset-tokens"] == "24h0m0s"


@pytest.mark.parametrize(
    ("reached", "retry", "after"),
    [
        (REACHED, "true", "42"),
        (replace(REACHED, what="tokens_per_day", again=4000.0), "false", "4000"),
        (replace(REACHED, what="concurrent", again=1.0), "true", "1"),
        (replace(REACHED, again=None), "false", None),
    ],
)
def test_sdks_are_told_to_retry_only_what_has_room_within_a_minute(
    reached: LimitReached, retry: str, after: str | None
) -> None:
    reply = limit_reached(reached, api="openai_chat", session="ses_1")
    assert (reply.error.status, reply.headers["x-should-retry"]) == (429, retry)
    assert reply.headers.get("retry-after") == after
