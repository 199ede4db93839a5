"""Which limits are meant for a request, and what counts for them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.core.limits_play import (
    ADMITTED,
    NOW,
    REACHED,
    STREAM,
    Judged,
    commands_of,
    drafts_of,
    limit,
)

from authz_service.audit.draft import Kind
from authz_service.core.commands import (
    Admit,
    Reply,
)
from authz_service.core.events import (
    AdmissionAnswered,
    AnswerRead,
    BodyRead,
)
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
from authz_service.core.request import Request
from authz_service.inspection.results import AnswerStep
from authz_service.policy.decision import Effect
from authz_service.view.caller import API_KEYS, Caller
from authz_service.view.request import RequestView

ALICE = Caller("https://id", "alice", NOW + 3600, ("staff",))


def view(**parameters: object) -> RequestView:
    return RequestView(
        "openai_chat", "chat", "llama", False, (), parameters=parameters, token_estimate=10, choices=2
    )


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
