"""Reviewers decide holds over gRPC: whose votes count, and which are refused."""

from __future__ import annotations

import grpc
import pytest
from tests.servers.review_asking import TWO_STAGES, approval, as_, refused, words
from tests.servers.review_fakes import Review
from tests.servers.review_made import make_hold
from tests.servers.review_people import NOW, PEOPLE

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub


def test_an_approval_of_the_shown_bytes_approves(review: Review, api: HoldServiceStub) -> None:
    review.put(make_hold())
    hold = api.ApproveHold(approval(), metadata=as_("rita")).hold
    assert hold.state == pb.HOLD_STATE_APPROVED
    assert [(v.name, v.verdict, v.reason) for v in hold.votes] == [
        ("rita", pb.VERDICT_APPROVE, "Looked at it.")
    ]


def test_with_two_stages_the_hold_waits_for_the_second(review: Review, api: HoldServiceStub) -> None:
    review.put(make_hold(approvals=(TWO_STAGES,)))
    assert api.ApproveHold(approval(), metadata=as_("rita")).hold.state == pb.HOLD_STATE_PENDING
    assert api.ApproveHold(approval(), metadata=as_("lea")).hold.state == pb.HOLD_STATE_APPROVED


def test_of_two_reviewers_one_decides_and_the_other_is_told_who(review: Review, api: HoldServiceStub) -> None:
    review.put(make_hold())
    api.ApproveHold(approval(), metadata=as_("rita"))
    with pytest.raises(grpc.RpcError) as error:
        api.RejectHold(
            pb.RejectHoldRequest(id="hld_1", digest=make_hold().digest, reason="No."), metadata=as_("rob")
        )
    assert refused(error) == (grpc.StatusCode.FAILED_PRECONDITION, "already_decided")
    assert "rita" in words(error)


def test_a_vote_on_other_bytes_than_the_stored_ones_is_refused(review: Review, api: HoldServiceStub) -> None:
    review.put(make_hold())
    with pytest.raises(grpc.RpcError) as error:
        api.ApproveHold(approval(digest="0" * 64), metadata=as_("rita"))
    assert refused(error) == (grpc.StatusCode.FAILED_PRECONDITION, "digest_changed")


@pytest.mark.parametrize("digest", ["", "0" * 63, "A" * 64, "0" * 64 + "\n"])
def test_a_vote_must_name_a_digest(review: Review, api: HoldServiceStub, digest: str) -> None:
    review.put(make_hold())
    with pytest.raises(grpc.RpcError) as error:
        api.ApproveHold(approval(digest=digest), metadata=as_("rita"))
    assert refused(error) == (grpc.StatusCode.INVALID_ARGUMENT, "digest_required")


def test_an_overdue_hold_cannot_be_approved_before_any_sweep(review: Review, api: HoldServiceStub) -> None:
    review.put(make_hold())
    review.store.time = NOW + 1800
    with pytest.raises(grpc.RpcError) as error:
        api.ApproveHold(approval(), metadata=as_("rita"))
    assert refused(error)[0] is grpc.StatusCode.FAILED_PRECONDITION


def test_nobody_decides_their_own_request(review: Review, api: HoldServiceStub) -> None:
    review.put(make_hold(caller=PEOPLE["rita"]))
    with pytest.raises(grpc.RpcError) as error:
        api.ApproveHold(approval(), metadata=as_("rita"))
    assert refused(error) == (grpc.StatusCode.PERMISSION_DENIED, "own_request")


def test_an_auditor_sees_and_does_not_decide(review: Review, api: HoldServiceStub) -> None:
    review.put(make_hold())
    with pytest.raises(grpc.RpcError) as error:
        api.ApproveHold(approval(), metadata=as_("ada"))
    assert refused(error) == (grpc.StatusCode.PERMISSION_DENIED, "no_stage")


def test_the_same_key_again_is_the_same_vote(review: Review, api: HoldServiceStub) -> None:
    review.put(make_hold())
    first = api.ApproveHold(approval(key="k1"), metadata=as_("rita"))
    again = api.ApproveHold(approval(key="k1"), metadata=as_("rita"))
    assert (first.hold.state, len(again.hold.votes)) == (pb.HOLD_STATE_APPROVED, 1)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (pb.RejectHoldRequest(reason=" \n"), "reason_required"),
        (pb.RejectHoldRequest(reason="x" * 4097), "reason_too_long"),
        (pb.RejectHoldRequest(reason="No.", idempotency_key="x" * 129), "key_too_long"),
    ],
)
def test_a_rejection_needs_a_reason_and_texts_have_limits(
    review: Review, api: HoldServiceStub, request_: pb.RejectHoldRequest, code: str
) -> None:
    hold = review.put(make_hold())
    request_.id, request_.digest = hold.id, hold.digest
    with pytest.raises(grpc.RpcError) as error:
        api.RejectHold(request_, metadata=as_("rita"))
    assert refused(error) == (grpc.StatusCode.INVALID_ARGUMENT, code)
