"""What reviewers do beside a single vote, over the API and the real store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from tests.servers.loop_thread import LoopThread
from tests.servers.review_drafts import DIGEST, draft
from tests.servers.review_people import PEOPLE, People, person
from tests.servers.stored_review import as_, served

from authz_api.v1 import holds_pb2 as pb
from authz_api.v1.holds_pb2_grpc import HoldServiceStub
from authz_service.core.stored_holds import HoldLimits
from authz_service.view.caller import Caller

PEOPLE.setdefault("gus", person("gus", "glass"))


@pytest.fixture
def people() -> People:
    """Whom the API knows."""
    return People()


@pytest.fixture
def api(thread: LoopThread, tmp_path: Path, people: People) -> Iterator[HoldServiceStub]:
    """Two holds of alice's, hld_0 and hld_1."""
    serving = served(thread, tmp_path, people=people)
    with serving as (store, address), grpc.insecure_channel(address) as channel:
        for number in range(2):
            thread.run(store.open_hold(draft(number), HoldLimits()))
        yield HoldServiceStub(channel)


def refused(call: Callable[[], Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as error:
        call()
    call_of: Any = error.value
    return call_of.code(), dict(call_of.trailing_metadata())["authz-code"]


def test_a_claim_is_shown_kept_from_others_and_given_back(api: HoldServiceStub) -> None:
    claim, release = pb.ClaimHoldRequest(id="hld_0"), pb.ReleaseClaimRequest(id="hld_0")
    claimed = api.ClaimHold(claim, metadata=as_("rita")).hold
    assert (claimed.claim.name, claimed.claim.HasField("until")) == ("rita", True)
    assert refused(lambda: api.ClaimHold(claim, metadata=as_("rob"))) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "claimed",
    )
    assert refused(lambda: api.ReleaseClaim(release, metadata=as_("rob")))[1] == "not_claimed"
    assert refused(lambda: api.ClaimHold(claim, metadata=as_("ada")))[1] == "no_stage"
    assert refused(lambda: api.ClaimHold(claim, metadata=as_("lea")))[1] == "hold_not_found"
    assert not api.ReleaseClaim(release, metadata=as_("rita")).hold.HasField("claim")
    assert api.ClaimHold(claim, metadata=as_("rob")).hold.claim.name == "rob"


def test_comments_are_for_reviewers_and_need_words(api: HoldServiceStub) -> None:
    said = pb.CommentHoldRequest(id="hld_0", text="Who runs this?", idempotency_key="k")
    for _ in range(2):
        hold = api.CommentHold(said, metadata=as_("rita")).hold
    assert [(act.kind, act.name, act.text) for act in hold.acts] == [
        (pb.ACT_KIND_COMMENT, "rita", "Who runs this?")
    ]
    assert refused(lambda: api.CommentHold(said, metadata=as_("ada")))[1] == "no_stage"
    empty = pb.CommentHoldRequest(id="hld_0", text=" ")
    assert refused(lambda: api.CommentHold(empty, metadata=as_("rita")))[1] == "reason_required"
    long = pb.CommentHoldRequest(id="hld_0", text="x" * 4097)
    assert refused(lambda: api.CommentHold(long, metadata=as_("rita")))[1] == "reason_too_long"


def test_a_vote_is_taken_back_and_stays_in_sight(api: HoldServiceStub) -> None:
    api.ApproveHold(pb.ApproveHoldRequest(id="hld_0", digest=DIGEST), metadata=as_("rita"))
    back = pb.WithdrawVoteRequest(id="hld_0", reason="too fast")
    hold = api.WithdrawVote(back, metadata=as_("rita")).hold
    assert hold.state == pb.HOLD_STATE_PENDING
    assert hold.votes[0].HasField("withdrawn_at")
    assert hold.stages[0].counted == 0
    assert refused(lambda: api.WithdrawVote(back, metadata=as_("rob")))[1] == "no_vote"


def test_many_are_decided_in_one_call_and_each_for_itself(api: HoldServiceStub) -> None:
    shown = [pb.Shown(id="hld_0", digest=DIGEST), pb.Shown(id="hld_1", digest="0" * 64)]
    shown.append(pb.Shown(id="hld_9", digest=DIGEST))
    request = pb.DecideHoldsRequest(holds=shown, verdict=pb.VERDICT_APPROVE, idempotency_key="k")
    for _ in range(2):  # the same key is the same votes
        outcomes = api.DecideHolds(request, metadata=as_("rita")).outcomes
        assert [(o.id, o.code, o.hold.state) for o in outcomes] == [
            ("hld_0", "", pb.HOLD_STATE_APPROVED),
            ("hld_1", "digest_changed", 0),
            ("hld_9", "hold_not_found", 0),
        ]
    reject = pb.DecideHoldsRequest(holds=shown[1:2], verdict=pb.VERDICT_REJECT)
    answer = api.DecideHolds(reject, metadata=as_("rita"))
    assert answer.outcomes[0].code == "reason_required"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"holds": []}, "holds_required"),
        ({"holds": [pb.Shown(id="h", digest=DIGEST)] * 2}, "holds_required"),
        ({"holds": [pb.Shown(id=f"h{n}", digest=DIGEST) for n in range(201)]}, "holds_required"),
        ({"verdict": 0}, "verdict_required"),
    ],
)
def test_many_are_not_decided_by_a_call_that_is_not_whole(
    api: HoldServiceStub, changes: dict[str, Any], code: str
) -> None:
    whole = {"holds": [pb.Shown(id="hld_0", digest=DIGEST)], "verdict": pb.VERDICT_APPROVE}
    request = pb.DecideHoldsRequest(**{**whole, **changes})
    assert refused(lambda: api.DecideHolds(request, metadata=as_("rita")))[1] == code


def test_who_may_break_the_glass_sees_all_decides_alone_with_a_reason_and_is_reviewed(
    api: HoldServiceStub,
) -> None:
    alone = pb.ApproveHoldRequest(id="hld_0", digest=DIGEST, reason="the site is down", break_glass=True)
    assert refused(lambda: api.ApproveHold(alone, metadata=as_("rita")))[1] == "not_break_glass"
    silent = pb.ApproveHoldRequest(id="hld_0", digest=DIGEST, break_glass=True)
    assert refused(lambda: api.ApproveHold(silent, metadata=as_("gus")))[1] == "reason_required"
    plain = pb.ApproveHoldRequest(id="hld_0", digest=DIGEST, reason="x")
    assert refused(lambda: api.ApproveHold(plain, metadata=as_("gus")))[1] == "no_stage"
    hold = api.ApproveHold(alone, metadata=as_("gus")).hold
    assert (hold.state, hold.review) == (pb.HOLD_STATE_APPROVED, pb.REVIEW_STATE_DUE)
    assert hold.votes[0].break_glass
    due = pb.ListHoldsRequest(review=pb.REVIEW_STATE_DUE)
    assert [item.id for item in api.ListHolds(due, metadata=as_("lea")).holds] == ["hld_0"]
    review = pb.ReviewHoldRequest(id="hld_0", reason="it was")
    assert refused(lambda: api.ReviewHold(review, metadata=as_("gus")))[1] == "not_reviewer"
    assert refused(lambda: api.ReviewHold(review, metadata=as_("ada")))[1] == "not_reviewer"
    wordless = pb.ReviewHoldRequest(id="hld_0")
    assert refused(lambda: api.ReviewHold(wordless, metadata=as_("rita")))[1] == "reason_required"
    assert api.ReviewHold(review, metadata=as_("lea")).hold.review == pb.REVIEW_STATE_DONE
    assert not api.ListHolds(due, metadata=as_("rita")).holds
    assert refused(lambda: api.ReviewHold(review, metadata=as_("rita")))[1] == "nothing_to_review"


def bot_of(*groups: str, owner: object) -> Caller:
    return replace(person("bot", *groups), claims={"owner": owner})


REVIEWERS = ("reviewers", "security")


@pytest.mark.parametrize(
    ("bot", "may"),
    [
        (bot_of("auditors", owner="rita"), False),
        (bot_of("reviewers", owner="rita"), False),
        (bot_of("auditors", owner=["rita", "rob"]), False),
        (bot_of(*REVIEWERS, owner=["rita", "rob"]), False),
        (bot_of(*REVIEWERS, owner="bob"), False),
        (bot_of(*REVIEWERS, owner="rita"), True),
        (bot_of(*REVIEWERS, owner=["Rita", "rita"]), True),
    ],
)
def test_a_service_account_takes_its_owners_vote_back_only_where_it_has_a_vote_itself(
    api: HoldServiceStub, people: People, bot: Caller, may: bool
) -> None:
    people.known["bot"] = bot
    api.ApproveHold(pb.ApproveHoldRequest(id="hld_0", digest=DIGEST), metadata=as_("rita"))
    back = pb.WithdrawVoteRequest(id="hld_0", reason="it may not")
    if may:
        assert api.WithdrawVote(back, metadata=as_("bot")).hold.votes[0].HasField("withdrawn_at")
    else:
        assert refused(lambda: api.WithdrawVote(back, metadata=as_("bot")))[1] in (
            "no_vote",
            "hold_not_found",
        )
    shown = api.GetHold(pb.GetHoldRequest(id="hld_0"), metadata=as_("rita")).hold
    assert shown.votes[0].HasField("withdrawn_at") is may


def test_a_service_account_without_a_stage_takes_its_own_vote_back(
    api: HoldServiceStub, people: People
) -> None:
    people.known["bot"] = bot_of(*REVIEWERS, owner="bob")
    api.ApproveHold(pb.ApproveHoldRequest(id="hld_0", digest=DIGEST), metadata=as_("bot"))
    people.known["bot"] = bot_of("auditors", owner="bob")
    back = pb.WithdrawVoteRequest(id="hld_0", reason="it has another role now")
    assert api.WithdrawVote(back, metadata=as_("bot")).hold.votes[0].HasField("withdrawn_at")
