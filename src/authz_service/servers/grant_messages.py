"""Translates grants into the messages of authz.v1, and back what is asked about them."""

from __future__ import annotations

from authz_api.v1 import grants_pb2 as pb
from authz_service.core.grant_terms import Wanted
from authz_service.core.grants import Grant, GrantState, OneGroup
from authz_service.core.holds import StageRef
from authz_service.core.stored_grants import GrantQuery
from authz_service.errors import Unreadable
from authz_service.servers.review_messages import ref_message, safe_text, timestamp, vote_message
from authz_service.servers.review_requests import MAX_PAGE, page_size

STATES: dict[GrantState, pb.GrantState.ValueType] = {
    GrantState.PROPOSED: pb.GRANT_STATE_PROPOSED,
    GrantState.ACTIVE: pb.GRANT_STATE_ACTIVE,
    GrantState.USED_UP: pb.GRANT_STATE_USED_UP,
    GrantState.EXPIRED: pb.GRANT_STATE_EXPIRED,
    GrantState.REVOKED: pb.GRANT_STATE_REVOKED,
}
_STATE_OF: dict[int, GrantState] = {number: state for state, number in STATES.items()}


def grant_message(
    grant: Grant, *, may_vote_in: tuple[StageRef, ...], is_void: bool, is_damaged: bool
) -> pb.Grant:
    """A grant as one person sees it."""
    terms, of = grant.terms, grant.terms.beneficiary
    issuer, name = (of.issuer, of.name) if isinstance(of, OneGroup) else of.identity
    message = pb.Grant(
        id=grant.id,
        hold=grant.hold,
        session=grant.session,
        state=STATES[grant.state],
        version=grant.version,
        terms=grant.text.encode(),
        digest=grant.digest,
        issuer=safe_text(issuer),
        subject="" if isinstance(of, OneGroup) else safe_text(name),
        group=safe_text(name) if isinstance(of, OneGroup) else "",
        rules=map(safe_text, terms.rules),
        tools=map(safe_text, terms.tools),
        unread=map(safe_text, terms.unread),
        api=safe_text(terms.api),
        operation=safe_text(terms.operation),
        model=safe_text(terms.model),
        template=terms.template,
        unchanged=[safe_text(name) for name, _ in terms.unchanged],
        approvals=[safe_text(approval.name) for approval in terms.approvals],
        uses=terms.uses,
        used=grant.used,
        until=timestamp(terms.until),
        created_at=timestamp(grant.created_at),
        deadline=timestamp(grant.deadline),
        votes=map(vote_message, grant.votes),
        open_stages=map(ref_message, grant.open_stages),
        may_vote_in=map(ref_message, may_vote_in),
        is_void=is_void,
        is_damaged=is_damaged,
        let_through=[
            pb.GrantUse(number=use.number, session=safe_text(use.session), at=timestamp(use.at))
            for use in grant.uses
        ],
    )
    if grant.revoked is not None:
        message.revoked_at.CopyFrom(timestamp(grant.revoked.at))
        message.revoked_by = safe_text(grant.revoked.name or grant.revoked.person[1])
        message.revoke_reason = safe_text(grant.revoked.reason)
    return message


def wanted(request: pb.CreateGrantRequest) -> Wanted:
    """What a proposal says; raises `Unreadable` for one without an end, or with too many names."""
    if not request.HasField("until"):
        raise Unreadable("a grant needs a time until which it is good", code="grant_terms")
    if len(request.rules) > MAX_PAGE or len(request.tools) > MAX_PAGE:
        raise Unreadable(f"name at most {MAX_PAGE} rules and tools", code="grant_terms")
    return Wanted(
        group=request.group,
        rules=tuple(request.rules),
        tools=tuple(request.tools),
        model=request.model,
        same_template=request.same_template,
        uses=request.uses,
        until=request.until.seconds,
    )


def grant_query(request: pb.ListGrantsRequest, *, page_token: str | None = None) -> GrantQuery:
    """Raises `Unreadable` for a state that does not exist, which must not mean `any`."""
    unknown = [number for number in request.states if number not in _STATE_OF]
    if unknown:
        raise Unreadable(f"there is no grant state number {unknown[0]}", code="unknown_state")
    return GrantQuery(
        states=tuple(_STATE_OF[number] for number in request.states),
        id_prefix=request.id_prefix,
        hold=request.hold,
        caller=request.caller,
        group=request.group,
        rule=request.rule,
        model=request.model,
        page_size=page_size(request.page_size),
        page_token=request.page_token if page_token is None else page_token,
    )
