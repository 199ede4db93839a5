"""The GrantService over the real store: who sees a grant, who makes it, and who ends it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.servers.grant_review import as_, draft, refused, serving, wish
from tests.servers.loop_thread import LoopThread
from tests.servers.review_drafts import DIGEST
from tests.servers.review_people import NOW, PEOPLE, SECURITY

from authz_api.v1 import grants_pb2 as pb
from authz_api.v1.grants_pb2_grpc import GrantServiceStub
from authz_service.core.grant_terms import Wanted, terms_from
from authz_service.core.grants import Maker
from authz_service.core.holds import Approval, Stage, StageRef
from authz_service.core.openings import Granted, Opened
from authz_service.core.stored_holds import HoldLimits
from authz_service.store.sql_store import SqlStore


@pytest.fixture
def in_force() -> list[Approval]:
    return [SECURITY]


@pytest.fixture
def served(
    thread: LoopThread, tmp_path: Path, in_force: list[Approval]
) -> Iterator[tuple[SqlStore, GrantServiceStub]]:
    with serving(thread, tmp_path, in_force) as both:
        yield both


def test_a_reviewer_makes_one_and_the_terms_are_what_its_digest_names(
    thread: LoopThread, served: tuple[SqlStore, GrantServiceStub]
) -> None:
    store, api = served
    thread.run(store.open_hold(draft(0), HoldLimits()))
    made = api.CreateGrant(wish(rules=["tools"], tools=["search"], same_template=True), metadata=as_("rita"))
    grant = made.grant
    assert grant.state == pb.GRANT_STATE_ACTIVE
    assert hashlib.sha256(grant.terms).hexdigest() == grant.digest
    terms = json.loads(grant.terms)
    assert terms["for"] == {"caller": [PEOPLE["alice"].issuer, "alice"]}
    assert (terms["rules"], terms["tools"], terms["template"]) == (["tools"], ["search"], "a" * 64)
    assert (list(grant.rules), list(grant.tools), grant.template) == (["tools"], ["search"], "a" * 64)
    assert (grant.subject, grant.group, list(grant.approvals)) == ("alice", "", ["security"])
    assert [vote.name for vote in grant.votes] == ["rita"]


@pytest.mark.parametrize(
    "more",
    [
        {"uses": 0},
        {"uses": 10_001},
        {"group": "staff"},
        {"rules": ["contractors", "other"]},
        {"tools": ["deploy"]},
        {"model": "gpt"},
    ],
)
def test_terms_are_never_wider_than_the_hold(
    more: dict[str, Any], thread: LoopThread, served: tuple[SqlStore, GrantServiceStub]
) -> None:
    store, api = served
    thread.run(store.open_hold(draft(0), HoldLimits()))
    status = refused(api.CreateGrant, wish(**more), "rita")
    assert status == (grpc.StatusCode.INVALID_ARGUMENT, "grant_terms")
    assert api.ListGrants(pb.ListGrantsRequest(), metadata=as_("rita")).grants == []


def test_whom_the_hold_is_not_for_sees_no_grant_of_it_and_makes_none(
    thread: LoopThread, served: tuple[SqlStore, GrantServiceStub]
) -> None:
    store, api = served
    thread.run(store.open_hold(draft(0), HoldLimits()))
    not_found = (grpc.StatusCode.NOT_FOUND, "hold_not_found")
    assert refused(api.CreateGrant, wish(), "lea") == not_found
    assert refused(api.CreateGrant, wish(), "ada") == (grpc.StatusCode.PERMISSION_DENIED, "no_stage")
    grant = api.CreateGrant(wish(group="contractors"), metadata=as_("rita")).grant
    assert (grant.group, grant.subject) == ("contractors", "")
    request = pb.GetGrantRequest(id=grant.id)
    assert refused(api.GetGrant, request, "lea") == (grpc.StatusCode.NOT_FOUND, "grant_not_found")
    for name in ("rita", "rob", "ada", "olga"):
        assert api.GetGrant(request, metadata=as_(name)).grant.digest == grant.digest
        (listed,) = api.ListGrants(pb.ListGrantsRequest(), metadata=as_(name)).grants
        assert listed.id == grant.id
    assert api.ListGrants(pb.ListGrantsRequest(), metadata=as_("lea")).grants == []
    assert refused(api.ListGrants, pb.ListGrantsRequest(), "bob")[1] == "no_role"


def test_reviewers_of_the_hold_and_operators_end_it_and_auditors_do_not(
    thread: LoopThread, served: tuple[SqlStore, GrantServiceStub]
) -> None:
    store, api = served
    thread.run(store.open_hold(draft(0), HoldLimits()))
    grant = api.CreateGrant(wish(), metadata=as_("rita")).grant
    assert thread.run(store.open_hold(draft(1), HoldLimits())) == Granted(grant.id)
    request = pb.RevokeGrantRequest(id=grant.id, kill=True)
    assert refused(api.RevokeGrant, request, "ada") == (grpc.StatusCode.PERMISSION_DENIED, "no_stage")
    assert refused(api.RevokeGrant, request, "olga")[1] == "reason_required"
    request.reason = "over"
    end = api.RevokeGrant(request, metadata=as_("olga"))
    assert (end.grant.state, end.grant.revoked_by, end.grant.revoke_reason) == (
        pb.GRANT_STATE_REVOKED,
        "olga",
        "over",
    )
    assert list(end.sessions) == ["ses_1"]
    kinds = [entry.kind for entry in thread.run(store.entries("ses_1"))]
    assert kinds[-1] == "session.killed"
    found = api.GetGrant(pb.GetGrantRequest(id=grant.id), metadata=as_("ada")).grant
    assert [(use.number, use.session) for use in found.let_through] == [(1, "ses_1")]


def test_a_repeated_call_is_one_vote(thread: LoopThread, served: tuple[SqlStore, GrantServiceStub]) -> None:
    store, api = served
    thread.run(store.open_hold(draft(0), HoldLimits()))
    request = wish(idempotency_key="k")
    first = api.CreateGrant(request, metadata=as_("rita")).grant
    again = api.CreateGrant(request, metadata=as_("rita")).grant
    assert (again.id, len(again.votes)) == (first.id, 1)
    assert refused(api.CreateGrant, wish(idempotency_key="k", uses=9), "rita")[1] == "idempotency_key_reused"


def test_it_says_when_no_approval_is_as_it_was(
    thread: LoopThread, served: tuple[SqlStore, GrantServiceStub], in_force: list[Approval]
) -> None:
    store, api = served
    thread.run(store.open_hold(draft(0), HoldLimits()))
    assert not api.CreateGrant(wish(), metadata=as_("rita")).grant.is_void
    in_force[0] = replace(SECURITY, snapshot=True)
    (listed,) = api.ListGrants(pb.ListGrantsRequest(rule="tools"), metadata=as_("rita")).grants
    assert listed.is_void


def test_filters_are_checked(served: tuple[SqlStore, GrantServiceStub]) -> None:
    _, api = served
    assert refused(api.ListGrants, pb.ListGrantsRequest(states=[99]), "rita")[1] == "unknown_state"  # type: ignore[list-item]  # an unknown number is the point
    assert refused(api.ListGrants, pb.ListGrantsRequest(page_token="x"), "rita")[1] == "bad_page_token"
    assert refused(api.ApproveGrant, pb.ApproveGrantRequest(id="x"), "rita")[1] == "digest_required"
    request = pb.ApproveGrantRequest(id="x", digest="0" * 64)
    assert refused(api.ApproveGrant, request, "rita")[1] == "grant_not_found"
    endless = pb.CreateGrantRequest(hold="hld_0", digest=DIGEST, uses=1)
    assert refused(api.CreateGrant, endless, "rita")[1] == "grant_terms"


@pytest.mark.parametrize(
    ("reads", "more", "instead"),
    [
        ("findings.JWT", {}, None),
        ("caller.groups", {"group": "contractors"}, {}),
        ("request.rule", {}, {"rules": ["contractors"]}),
        ("request.rule", {"rules": ["tools"]}, {"rules": ["contractors"]}),
    ],
)
def test_there_is_no_grant_for_requests_on_which_others_would_vote(
    reads: str,
    more: dict[str, Any],
    instead: dict[str, Any] | None,
    thread: LoopThread,
    served: tuple[SqlStore, GrantServiceStub],
) -> None:
    store, api = served
    approval = Approval("security", (Stage(f"security {reads}", 2, 1800.0),))
    thread.run(store.open_hold(replace(draft(0), approvals=(approval,)), HoldLimits()))
    differ = (grpc.StatusCode.FAILED_PRECONDITION, "voters_differ")
    assert refused(api.CreateGrant, wish(**more), "rita") == differ
    assert api.ListGrants(pb.ListGrantsRequest(), metadata=as_("rita")).grants == []
    if instead is not None:
        assert api.CreateGrant(wish(**instead), metadata=as_("rita")).grant.id

    hold = thread.run(store.hold("hld_0"))
    assert hold is not None
    until = int(NOW) + 3600
    wanted = Wanted(more.get("group", ""), tuple(more.get("rules", ())), (), "", False, 2, until)
    rita = (PEOPLE["rita"].issuer, "rita")
    by = Maker(rita, rita, "Rita", (StageRef("security", 0),))
    made = thread.run(
        store.propose_grant("hld_0", terms=terms_from(hold, wanted, reads=()), shown=DIGEST, by=by)
    )
    vote = pb.ApproveGrantRequest(id=made.id, digest=made.digest)
    assert refused(api.ApproveGrant, vote, "rob") == differ


def test_whose_groups_are_others_now_waits_for_those_who_vote_then(
    thread: LoopThread, served: tuple[SqlStore, GrantServiceStub]
) -> None:
    store, api = served
    approval = Approval("security", (Stage("security caller.groups", 1, 1800.0),))

    def asks(number: int, **changed: Any) -> Any:
        asked = replace(draft(number), approvals=(approval,), caller=replace(PEOPLE["alice"], **changed))
        return thread.run(store.open_hold(asked, HoldLimits()))

    asks(0)
    made = api.CreateGrant(wish(), metadata=as_("rita")).grant
    assert list(made.unchanged) == list(json.loads(made.terms)["unchanged"]) == ["groups"]
    assert isinstance(asks(1, groups=("finance",)), Opened)  # others may vote on what finance asks
    assert isinstance(asks(2), Granted)


def test_no_grant_is_made_where_any_claim_may_say_who_votes_and_no_vote_is_for_one_that_keeps_less(
    thread: LoopThread, served: tuple[SqlStore, GrantServiceStub]
) -> None:
    store, api = served
    differ = (grpc.StatusCode.FAILED_PRECONDITION, "voters_differ")
    for number, reads in enumerate(("caller.claims caller.claims.*", "caller.groups")):
        approval = Approval("security", (Stage(f"security {reads}", 2, 1800.0),))
        thread.run(store.open_hold(replace(draft(number), approvals=(approval,)), HoldLimits()))
    assert refused(api.CreateGrant, wish(), "rita") == differ
    hold = thread.run(store.hold("hld_1"))
    assert hold is not None
    rita = (PEOPLE["rita"].issuer, "rita")
    by = Maker(rita, rita, "Rita", (StageRef("security", 0),))
    wanted = Wanted("", (), (), "", False, 2, int(NOW) + 3600)
    terms = terms_from(hold, wanted, reads=())
    made = thread.run(store.propose_grant("hld_1", terms=terms, shown=DIGEST, by=by))
    assert refused(api.ApproveGrant, pb.ApproveGrantRequest(id=made.id, digest=made.digest), "rob") == differ
