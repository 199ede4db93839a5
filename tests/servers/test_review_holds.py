"""Reviewers list and see holds over gRPC."""

from __future__ import annotations

import json
from dataclasses import replace

import grpc
import pytest
from tests.servers.review_asking import TWO_STAGES, Metadata, approval, as_, refused, words
from tests.servers.review_fakes import Review
from tests.servers.review_made import BODY, make_hold
from tests.servers.review_people import NOW, SECURITY, person

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.audit.draft import Kind
from authz_service.core.stored_holds import HoldState


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("authorization", "token-rita"),),
        (("authorization", "Basic token-rita"),),
        (("authorization", "Bearer "),),
        (("authorization", "Bearer rita"),),
        (("authorization", "Bearer token-rita"), ("authorization", "Bearer token-rita")),
    ],
)
def test_without_exactly_one_valid_token_nothing_is_answered(
    api: HoldServiceStub, metadata: Metadata
) -> None:
    with pytest.raises(grpc.RpcError) as error:
        api.ListHolds(pb.ListHoldsRequest(), metadata=metadata)
    assert refused(error)[0] is grpc.StatusCode.UNAUTHENTICATED
    assert "rita" not in words(error)


def test_who_is_neither_reviewer_nor_auditor_gets_nothing(review: Review, api: HoldServiceStub) -> None:
    review.put(make_hold())
    for call in (
        lambda: api.ListHolds(pb.ListHoldsRequest(), metadata=as_("bob")),
        lambda: api.GetHold(pb.GetHoldRequest(id="hld_1"), metadata=as_("bob")),
        lambda: next(iter(api.WatchHolds(pb.WatchHoldsRequest(), metadata=as_("bob")))),
        lambda: api.ApproveHold(approval(), metadata=as_("bob")),
    ):
        with pytest.raises(grpc.RpcError) as error:
            call()
        assert refused(error) == (grpc.StatusCode.PERMISSION_DENIED, "no_role")


def test_a_reviewer_sees_the_holds_of_which_a_stage_names_them_and_an_auditor_all(
    review: Review, api: HoldServiceStub
) -> None:
    review.put(make_hold("hld_1"))
    review.put(make_hold("hld_2", approvals=(TWO_STAGES,)))

    def seen(name: str) -> list[str]:
        return [hold.id for hold in api.ListHolds(pb.ListHoldsRequest(), metadata=as_(name)).holds]

    assert (seen("rita"), seen("lea"), seen("ada")) == (["hld_2", "hld_1"], ["hld_2"], ["hld_2", "hld_1"])


def test_a_hold_for_others_and_one_that_does_not_exist_are_refused_in_the_same_words(
    review: Review, api: HoldServiceStub
) -> None:
    review.put(make_hold("hld_1"))
    answers = []
    for name in ("hld_1", "hld_none"):
        for call in (
            lambda name=name: api.GetHold(pb.GetHoldRequest(id=name), metadata=as_("lea")),
            lambda name=name: api.ApproveHold(approval(name), metadata=as_("lea")),
        ):
            with pytest.raises(grpc.RpcError) as error:
                call()
            answers.append((refused(error), words(error)))
    assert set(answers) == {(refused(error), words(error))}
    assert refused(error) == (grpc.StatusCode.NOT_FOUND, "hold_not_found")


def test_a_hold_tells_who_asks_what_why_and_until_when(review: Review, api: HoldServiceStub) -> None:
    review.put(make_hold())
    answer = api.GetHold(pb.GetHoldRequest(id="hld_1"), metadata=as_("rita"))
    hold = answer.hold
    assert hold.forward == BODY
    assert (hold.caller.subject, list(hold.caller.groups)) == ("alice", ["contractors"])
    assert (hold.rule, hold.model, dict(hold.findings)) == ("contractors", "llama", {"EMAIL_ADDRESS": 2})
    assert hold.created_at.ToSeconds() == NOW == answer.as_of.ToSeconds()
    assert hold.deadline.ToSeconds() == NOW + 1800
    assert hold.waiting == 2
    assert [(s.ref.approval, s.votes, s.is_open, s.within.ToSeconds()) for s in hold.stages] == [
        ("security", 1, True, 1800)
    ]
    assert [ref.approval for ref in hold.may_vote_in] == ["security"]


def test_who_looks_at_a_hold_is_on_record_and_who_may_not_is_not(
    review: Review, api: HoldServiceStub
) -> None:
    review.store.put(make_hold())
    api.GetHold(pb.GetHoldRequest(id="hld_1"), metadata=as_("rita"))
    (draft,) = review.store.recorded
    assert (draft.kind, dict(draft.data)) == (Kind.SESSION_READ, {"hold": "hld_1"})
    assert draft.session == review.store.held["hld_1"].session
    assert json.loads(draft.payloads["reader"])["subject"] == "rita"
    with pytest.raises(grpc.RpcError):
        api.GetHold(pb.GetHoldRequest(id="hld_1"), metadata=as_("bob"))
    api.ListHolds(pb.ListHoldsRequest(), metadata=as_("rita"))
    assert len(review.store.recorded) == 1


def test_a_list_carries_no_bodies(review: Review, api: HoldServiceStub) -> None:
    review.put(make_hold())
    (hold,) = api.ListHolds(pb.ListHoldsRequest(), metadata=as_("rita")).holds
    assert (hold.forward, len(hold.digest)) == (b"", 64)


def test_filters_choose_by_state_caller_model_rule_and_beginning(
    review: Review, api: HoldServiceStub
) -> None:
    review.put(make_hold("hld_1"))
    review.put(
        make_hold("hld_2", state=HoldState.REJECTED, caller=person("carol"), model="qwen", rule="keys")
    )
    for request, expected in (
        (pb.ListHoldsRequest(states=[pb.HOLD_STATE_PENDING]), ["hld_1"]),
        (pb.ListHoldsRequest(states=[pb.HOLD_STATE_PENDING, pb.HOLD_STATE_REJECTED]), ["hld_2", "hld_1"]),
        (pb.ListHoldsRequest(caller="carol"), ["hld_2"]),
        (pb.ListHoldsRequest(model="llama"), ["hld_1"]),
        (pb.ListHoldsRequest(rule="keys"), ["hld_2"]),
        (pb.ListHoldsRequest(id_prefix="hld_2"), ["hld_2"]),
    ):
        assert [hold.id for hold in api.ListHolds(request, metadata=as_("rita")).holds] == expected


def test_a_state_that_does_not_exist_is_refused_rather_than_taken_as_any(api: HoldServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as error:
        api.ListHolds(
            pb.ListHoldsRequest(states=[99]),  # type: ignore[list-item]  # what a newer client might send
            metadata=as_("rita"),
        )
    assert refused(error) == (grpc.StatusCode.INVALID_ARGUMENT, "unknown_state")


def test_pages_cover_everything_once_even_where_most_is_for_others(
    review: Review, api: HoldServiceStub
) -> None:
    for number in range(100, 130):
        review.put(make_hold(f"hld_{number}", approvals=(TWO_STAGES if number % 10 == 0 else SECURITY,)))
    request, seen = pb.ListHoldsRequest(page_size=2), []
    while True:
        page = api.ListHolds(request, metadata=as_("lea"))
        seen += [hold.id for hold in page.holds]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == ["hld_120", "hld_110", "hld_100"]


def test_a_page_token_from_elsewhere_is_refused(api: HoldServiceStub) -> None:
    with pytest.raises(grpc.RpcError) as error:
        api.ListHolds(pb.ListHoldsRequest(page_token="x"), metadata=as_("rita"))
    assert refused(error) == (grpc.StatusCode.INVALID_ARGUMENT, "foreign_page_token")


def test_a_store_that_is_away_is_unavailable(review: Review, api: HoldServiceStub) -> None:
    review.store.is_away = True
    with pytest.raises(grpc.RpcError) as error:
        api.GetHold(pb.GetHoldRequest(id="hld_1"), metadata=as_("rita"))
    assert refused(error) == (grpc.StatusCode.UNAVAILABLE, "unavailable")


def test_an_unforeseen_error_says_nothing_of_itself(
    review: Review, api: HoldServiceStub, capsys: pytest.CaptureFixture[str]
) -> None:
    review.store.failure = RuntimeError("INSERT ... 'the prompt of alice'")
    with pytest.raises(grpc.RpcError) as error:
        api.GetHold(pb.GetHoldRequest(id="hld_1"), metadata=as_("rita"))
    assert refused(error) == (grpc.StatusCode.INTERNAL, "internal")
    printed = capsys.readouterr()
    assert "alice" not in words(error) + printed.out + printed.err


def test_a_caller_with_a_lone_surrogate_in_a_claim_does_not_hide_the_list(
    review: Review, api: HoldServiceStub
) -> None:
    review.put(make_hold("hld_1", caller=person("ev\ud800il", "g\udfff")))
    review.put(make_hold("hld_2"))
    holds = api.ListHolds(pb.ListHoldsRequest(), metadata=as_("rita")).holds
    assert [hold.caller.subject for hold in holds] == ["alice", "ev?il"]


def test_a_body_of_eight_mebibytes_is_shown_whole(review: Review) -> None:
    body = b'{"messages":"' + b"x" * (8 << 20) + b'"}'
    review.put(make_hold(body=body))
    options = [("grpc.max_receive_message_length", 64 << 20)]
    with grpc.insecure_channel(review.address, options=options) as channel:
        answer = HoldServiceStub(channel).GetHold(pb.GetHoldRequest(id="hld_1"), metadata=as_("rita"))
    assert answer.hold.forward == body


def test_every_state_of_the_store_has_a_word_on_the_wire(review: Review, api: HoldServiceStub) -> None:
    for number, state in enumerate(HoldState):
        review.put(replace(make_hold(f"hld_{number}"), state=state))
    holds = api.ListHolds(pb.ListHoldsRequest(), metadata=as_("ada")).holds
    assert {pb.HoldState.Name(hold.state) for hold in holds} == {
        f"HOLD_STATE_{state.name}" for state in HoldState
    }
