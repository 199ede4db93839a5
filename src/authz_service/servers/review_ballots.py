"""Who may vote on a hold, withdraw or comment, and the ballot that a vote is."""

from __future__ import annotations

from authz_api.v1 import holds_pb2 as pb
from authz_service.core.ballots import Ballot
from authz_service.core.holds import Verdict
from authz_service.core.requesters import number_of_owners, owners_of
from authz_service.core.stored_holds import HoldSummary
from authz_service.errors import AuthzError, Forbidden
from authz_service.servers.review_requests import Word, read_vote
from authz_service.servers.roles import Standing

VoteRequest = pb.ApproveHoldRequest | pb.RejectHoldRequest


def speaks_for_owner(standing: Standing, hold: HoldSummary) -> bool:
    """Whether who withdraws a vote may withdraw one that somebody of the same owner has cast.

    A person may: they answer for their service accounts. A service account may where it has a vote itself,
    unless it has several owners: of these it is none.
    """
    owners = number_of_owners(standing.person)
    return owners == 0 or (owners == 1 and bool(standing.stages(hold)))


def ballot_or_refusal(
    standing: Standing, hold: HoldSummary | AuthzError | None, request: VoteRequest, verdict: Verdict
) -> Ballot | AuthzError:
    """The ballot of one of several votes, or why there is none."""
    try:
        return ballot_of(standing, standing.visible(hold), read_vote(request, verdict), verdict)
    except AuthzError as refused:
        return refused


def ballot_of(standing: Standing, hold: HoldSummary, word: Word, verdict: Verdict) -> Ballot:
    """A vote on a hold that they see; raises `Forbidden` where they have none."""
    standing.require_another(hold)
    stages = standing.stages(hold)
    if word.is_break_glass and not standing.may_break_glass:
        raise Forbidden("only those whom review.break_glass names decide alone", code="not_break_glass")
    if not stages and not word.is_break_glass:
        raise Forbidden("you may see this hold, and no stage of it asks for your vote", code="no_stage")
    person = standing.person
    return Ballot(
        hold=hold.id,
        voter=person.identity,
        account=(person.issuer, person.subject),
        owners=owners_of(person),
        name=person.person or person.subject,
        verdict=verdict,
        digest=word.digest,
        may_vote_in=stages,
        reason=word.reason,
        idempotency_key=word.idempotency_key,
        is_break_glass=word.is_break_glass,
    )


def require_part(standing: Standing, hold: HoldSummary) -> None:
    """Whoever only reads has no say."""
    if not (standing.stages(hold) or standing.may_break_glass or standing.is_reviewer):
        raise Forbidden("you may see this hold, and no stage of it asks for your vote", code="no_stage")
