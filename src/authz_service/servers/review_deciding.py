"""What reviewers do to holds, once it is known who they are: votes, claims, comments, reviews."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from authz_api.v1 import holds_pb2 as pb
from authz_service.core.acts import ActDraft, ActKind, Revision
from authz_service.core.ballots import Ballot
from authz_service.core.holds import Verdict
from authz_service.core.ports import Hold, HoldLimits, HoldSummary, Store
from authz_service.core.requesters import number_of_owners, owners_of
from authz_service.errors import AuthzError, Conflict, Forbidden, Unreadable
from authz_service.inspection.edited_answer import FoundText
from authz_service.runtime.revising import Revised
from authz_service.servers.review_requests import Word, read_answer_texts, read_digest, read_text, read_vote
from authz_service.servers.roles import Standing

VoteRequest = pb.ApproveHoldRequest | pb.RejectHoldRequest
ReviseRequest = pb.EditHoldRequest | pb.RespondHoldRequest

MAX_RESPONSE = 100_000
VOTES_AT_ONCE = 100
"""Of one call: they are committed together, in some 20 ms, which whoever commits beside them may wait for."""

DECIDING = frozenset({ActKind.CLAIM, ActKind.REVIEW, ActKind.EDIT, ActKind.RESPOND})
"""What nobody does to a request of their own, nor a service account of theirs."""


class Reviser(Protocol):
    """Reads and judges what reviewers make of requests; see `runtime.revising`."""

    async def edited(self, hold: Hold, body: bytes) -> Revised:
        """The request of `hold` with what `body` changes in it."""
        ...

    async def texts(self, hold: Hold) -> Mapping[str, str]:
        """What of a model's answer can be edited, by name."""
        ...

    async def found(self, hold: Hold) -> Sequence[FoundText]:
        """What stands in an answer that waits, model's or reviewer's, and is found there."""
        ...

    async def edited_answer(self, hold: Hold, texts: Mapping[str, str]) -> Revised:
        """The model's answer of `hold` with these texts."""
        ...

    async def response(self, hold: Hold, text: str) -> Revised:
        """An answer to the request of `hold` that says `text`."""
        ...


@dataclass(frozen=True, slots=True)
class Deciding:
    """`changed` is called after each change, for those who watch."""

    store: Store
    limits: Callable[[], HoldLimits]
    changed: Callable[[], None]
    reviser: Reviser

    async def vote(self, standing: Standing, request: VoteRequest, verdict: Verdict) -> HoldSummary:
        """The hold after one vote."""
        hold = await self._visible(standing, request.id)
        return await self.vote_on(standing, hold, request, verdict)

    async def vote_on(
        self, standing: Standing, hold: HoldSummary, request: VoteRequest, verdict: Verdict
    ) -> HoldSummary:
        """The same of a hold that they may see."""
        word = read_vote(request, verdict)
        ballot = _ballot(standing, hold, word, verdict)
        voted = await self.store.vote(ballot, self.limits())
        self.changed()
        return voted

    async def vote_on_all(
        self,
        standing: Standing,
        asked: Sequence[tuple[HoldSummary | AuthzError | None, VoteRequest]],
        verdict: Verdict,
    ) -> list[HoldSummary | AuthzError]:
        """The same of several holds, None where there is none, and why where one cannot be read: each as it
        stands then, or why not.

        Where the store is away nothing more is asked of it, and the rest is told so.
        """
        outcomes: list[HoldSummary | AuthzError] = []
        for start in range(0, len(asked), VOTES_AT_ONCE):
            some = asked[start : start + VOTES_AT_ONCE]
            ballots = [_ballot_or_refusal(standing, hold, request, verdict) for hold, request in some]
            try:
                outcomes += await self._cast(ballots)
            except AuthzError as away:
                return outcomes + [away] * (len(asked) - len(outcomes))
        return outcomes

    async def _cast(self, ballots: Sequence[Ballot | AuthzError]) -> list[HoldSummary | AuthzError]:
        allowed = [ballot for ballot in ballots if isinstance(ballot, Ballot)]
        cast = iter(await self.store.vote_all(allowed, self.limits()) if allowed else ())
        self.changed()
        return [next(cast) if isinstance(ballot, Ballot) else ballot for ballot in ballots]

    async def withdraw(self, standing: Standing, request: pb.WithdrawVoteRequest) -> HoldSummary:
        """The hold without their votes, a service account's owner's among them where it may vote."""
        hold = await self._visible(standing, request.id)
        text = read_text(request.reason, request.idempotency_key)
        return await self._act(standing, hold, ActKind.WITHDRAW, request.idempotency_key, text)

    async def claim(self, standing: Standing, request: pb.ClaimHoldRequest) -> HoldSummary:
        """The hold with their claim; for those who may vote."""
        hold = await self._visible(standing, request.id)
        _require_part(standing, hold)
        read_text("", request.idempotency_key)
        return await self._act(standing, hold, ActKind.CLAIM, request.idempotency_key)

    async def release_claim(self, standing: Standing, request: pb.ReleaseClaimRequest) -> HoldSummary:
        """The hold without their claim."""
        hold = await self._visible(standing, request.id)
        read_text("", request.idempotency_key)
        return await self._act(standing, hold, ActKind.UNCLAIM, request.idempotency_key)

    async def comment(self, standing: Standing, request: pb.CommentHoldRequest) -> HoldSummary:
        """The hold with their comment; for those who may vote on it or review it."""
        hold = await self._visible(standing, request.id)
        _require_part(standing, hold)
        text = read_text(request.text, request.idempotency_key, needed_for="a comment")
        return await self._act(standing, hold, ActKind.COMMENT, request.idempotency_key, text)

    async def review(self, standing: Standing, request: pb.ReviewHoldRequest) -> HoldSummary:
        """The hold with their review; for reviewers."""
        if not standing.is_reviewer:
            raise Forbidden("only reviewers may review what was decided alone", code="not_reviewer")
        hold = await self._visible(standing, request.id)
        text = read_text(request.reason, request.idempotency_key, needed_for="a review")
        return await self._act(standing, hold, ActKind.REVIEW, request.idempotency_key, text)

    async def edit(self, standing: Standing, request: pb.EditHoldRequest) -> HoldSummary:
        """The hold with the edited request, or answer; for those who may vote."""
        hold, text = await self._to_revise(standing, request)
        asked = _asked(
            request.digest, request.body, *(part for t in request.texts for part in (t.name, t.text))
        )
        if await self._is_repeated(standing, request, ActKind.EDIT, text, asked):
            return await self._visible(standing, hold.id)
        if request.texts:
            texts = read_answer_texts(request)
            revised = await self.reviser.edited_answer(hold, texts)
        else:
            revised = await self.reviser.edited(hold, request.body)
        return await self._revise(standing, hold, ActKind.EDIT, request, revised, text, asked)

    async def respond(self, standing: Standing, request: pb.RespondHoldRequest) -> HoldSummary:
        """The hold with their answer; for those who may vote."""
        hold, text = await self._to_revise(standing, request)
        if not request.text.strip() or len(request.text) > MAX_RESPONSE:
            message = f"an answer has 1 to {MAX_RESPONSE} characters"
            raise Unreadable(message, code="response_required")
        asked = _asked(request.digest, request.text)
        if await self._is_repeated(standing, request, ActKind.RESPOND, text, asked):
            return await self._visible(standing, hold.id)
        revised = await self.reviser.response(hold, request.text)
        return await self._revise(standing, hold, ActKind.RESPOND, request, revised, text, asked)

    async def _to_revise(self, standing: Standing, request: ReviseRequest) -> tuple[Hold, str]:
        text = read_text(request.reason, request.idempotency_key)
        read_digest(request.digest)
        hold = standing.visible(await self.store.hold(request.id))
        if not standing.stages(hold):
            raise Forbidden("you may see this hold, and no stage of it asks for your vote", code="no_stage")
        return hold, text

    async def _is_repeated(
        self, standing: Standing, request: ReviseRequest, kind: ActKind, text: str, asked: str
    ) -> bool:
        """Whether this was done already by the same key: what waits now was made from other bytes."""
        key = request.idempotency_key
        before = await self.store.act_with_key(request.id, standing.person.identity, key) if key else None
        if before is None:
            return False
        if (before.kind, before.text, before.revised and before.revised.asked) != (kind, text, asked):
            raise Conflict("this idempotency key was used for something else", code="idempotency_key_reused")
        return True

    async def _revise(
        self,
        standing: Standing,
        hold: HoldSummary,
        kind: ActKind,
        request: ReviseRequest,
        revised: Revised,
        text: str,
        asked: str,
    ) -> HoldSummary:
        revision = Revision(
            shown=request.digest,
            forward=revised.forward,
            findings=revised.findings,
            may_vote_in=standing.stages(hold),
            changes=revised.changes,
            answer=revised.answer,
            asked=asked,
        )
        return await self._act(standing, hold, kind, request.idempotency_key, text, revision)

    async def _visible(self, standing: Standing, hold_id: str) -> HoldSummary:
        return standing.visible((await self.store.summaries([hold_id])).get(hold_id))

    async def _act(
        self,
        standing: Standing,
        hold: HoldSummary,
        kind: ActKind,
        idempotency_key: str,
        text: str = "",
        revision: Revision | None = None,
    ) -> HoldSummary:
        person = standing.person
        if kind in DECIDING:
            standing.require_another(hold)
        draft = ActDraft(
            hold=hold.id,
            kind=kind,
            person=person.identity,
            account=(person.issuer, person.subject),
            owners=owners_of(person),
            only_own=kind is ActKind.WITHDRAW and not _speaks_for_owner(standing, hold),
            name=person.person or person.subject,
            text=text,
            idempotency_key=idempotency_key,
            revision=revision,
        )
        acted = await self.store.act(draft, self.limits())
        self.changed()
        return acted


def _speaks_for_owner(standing: Standing, hold: HoldSummary) -> bool:
    """Whether who withdraws a vote may withdraw one that somebody of the same owner has cast.

    A person may: they answer for their service accounts. A service account may where it has a vote itself,
    unless it has several owners: of these it is none.
    """
    owners = number_of_owners(standing.person)
    return owners == 0 or (owners == 1 and bool(standing.stages(hold)))


def _asked(*parts: str | bytes) -> str:
    """The digest of what a reviewer sent, by which the same is recognised."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


def _ballot_or_refusal(
    standing: Standing, hold: HoldSummary | AuthzError | None, request: VoteRequest, verdict: Verdict
) -> Ballot | AuthzError:
    try:
        return _ballot(standing, standing.visible(hold), read_vote(request, verdict), verdict)
    except AuthzError as refused:
        return refused


def _ballot(standing: Standing, hold: HoldSummary, word: Word, verdict: Verdict) -> Ballot:
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


def _require_part(standing: Standing, hold: HoldSummary) -> None:
    """Whoever only reads has no say."""
    if not (standing.stages(hold) or standing.may_break_glass or standing.is_reviewer):
        raise Forbidden("you may see this hold, and no stage of it asks for your vote", code="no_stage")
