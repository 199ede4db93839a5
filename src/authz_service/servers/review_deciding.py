"""What reviewers do to holds, once it is known who they are: votes, claims, comments, reviews, edits."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from authz_api.v1 import holds_pb2 as pb
from authz_service.core.acts import ActDraft, ActKind, Revision
from authz_service.core.ballots import Ballot
from authz_service.core.holds import Verdict
from authz_service.core.ports import Store
from authz_service.core.requesters import owners_of
from authz_service.core.stored_holds import Hold, HoldLimits, HoldState, HoldSummary
from authz_service.errors import AuthzError, Conflict, Forbidden, Unreadable
from authz_service.runtime.revising import Revised, ToldAnswer
from authz_service.servers.review_ballots import (
    VoteRequest,
    ballot_of,
    ballot_or_refusal,
    require_part,
    speaks_for_owner,
)
from authz_service.servers.review_concealing import Veil
from authz_service.servers.review_requests import read_answer_texts, read_digest, read_text, read_vote
from authz_service.servers.roles import Standing

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

    async def told(self, hold: Hold) -> ToldAnswer:
        """What an answer that waits says, the model's or a reviewer's."""
        ...

    async def changes(self, hold: Hold) -> Mapping[str, bytes | str]:
        """What each edit on record changed, as JSON by the id of its act; a sentence where that is gone."""
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
    veil: Veil = Veil()  # noqa: RUF009 - it has no state

    async def vote(self, standing: Standing, request: VoteRequest, verdict: Verdict) -> HoldSummary:
        """The hold after one vote."""
        hold = await self._visible(standing, request.id)
        return await self.vote_on(standing, hold, request, verdict)

    async def vote_on(
        self, standing: Standing, hold: HoldSummary, request: VoteRequest, verdict: Verdict
    ) -> HoldSummary:
        """The same of a hold that they may see."""
        word = read_vote(request, verdict)
        ballot = ballot_of(standing, hold, word, verdict)
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
            ballots = [ballot_or_refusal(standing, hold, request, verdict) for hold, request in some]
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
        require_part(standing, hold)
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
        require_part(standing, hold)
        text = read_text(request.text, request.idempotency_key, needed_for="a comment")
        return await self._act(standing, hold, ActKind.COMMENT, request.idempotency_key, text)

    async def review(self, standing: Standing, request: pb.ReviewHoldRequest) -> HoldSummary:
        """The hold with their review; for reviewers."""
        if not standing.is_reviewer:
            raise Forbidden("only reviewers may review what was decided alone", code="not_reviewer")
        hold = await self._visible(standing, request.id)
        text = read_text(request.reason, request.idempotency_key, needed_for="a review")
        return await self._act(standing, hold, ActKind.REVIEW, request.idempotency_key, text)

    async def edit(self, standing: Standing, request: pb.EditHoldRequest) -> tuple[HoldSummary, str]:
        """The hold with the edited request, or answer, and the id of this edit; for those who may vote."""
        hold, text = await self._to_revise(standing, request)
        asked = _asked(
            request.digest, request.body, *(part for t in request.texts for part in (t.name, t.text))
        )
        if before := await self._done_before(standing, request, ActKind.EDIT, text, asked):
            return await self._visible(standing, hold.id), before
        revised = await self._edited(standing, hold, request)
        edited = await self._revise(standing, hold, ActKind.EDIT, request, revised, text, asked)
        twin = await self._done_before(standing, request, ActKind.EDIT, text, asked)  # sent at the same time
        return edited, twin or edited.revisions[-1].id

    async def preview(self, standing: Standing, request: pb.EditHoldRequest) -> tuple[Hold, Revised]:
        """The hold, and what an edit would make of it; for those who may edit it."""
        hold, _ = await self._to_revise(standing, request)
        standing.require_another(hold)
        if hold.state is not HoldState.PENDING:
            raise Conflict(f"the hold is {hold.state}: it is too late to edit it", code=f"hold_{hold.state}")
        _require_shown(hold, request)
        return hold, await self._edited(standing, hold, request)

    async def respond(self, standing: Standing, request: pb.RespondHoldRequest) -> HoldSummary:
        """The hold with their answer; for those who may vote."""
        hold, text = await self._to_revise(standing, request)
        if not request.text.strip() or len(request.text) > MAX_RESPONSE:
            message = f"an answer has 1 to {MAX_RESPONSE} characters"
            raise Unreadable(message, code="response_required")
        asked = _asked(request.digest, request.text)
        if await self._done_before(standing, request, ActKind.RESPOND, text, asked):
            return await self._visible(standing, hold.id)
        revised = await self.reviser.response(hold, request.text)
        return await self._revise(standing, hold, ActKind.RESPOND, request, revised, text, asked)

    async def _edited(self, standing: Standing, hold: Hold, request: pb.EditHoldRequest) -> Revised:
        if standing.concealed:
            _require_shown(hold, request)  # else its placeholders are of other bytes
        if request.texts:
            texts = await self.veil.texts(standing, hold, read_answer_texts(request))
            revised = await self.reviser.edited_answer(hold, texts)
        else:
            revised = await self.reviser.edited(hold, await self.veil.body(standing, hold, request.body))
        await self.veil.require_same(standing, hold, revised)
        return revised

    async def _to_revise(self, standing: Standing, request: ReviseRequest) -> tuple[Hold, str]:
        text = read_text(request.reason, request.idempotency_key)
        read_digest(request.digest)
        hold = standing.visible(await self.store.hold(request.id))
        if not standing.stages(hold):
            raise Forbidden("you may see this hold, and no stage of it asks for your vote", code="no_stage")
        return hold, text

    async def _done_before(
        self, standing: Standing, request: ReviseRequest, kind: ActKind, text: str, asked: str
    ) -> str:
        """The id of the act by which this was done already, by the same key; "" where it was not.

        What waits now was made from other bytes.
        """
        key = request.idempotency_key
        before = await self.store.act_with_key(request.id, standing.person.identity, key) if key else None
        if before is None:
            return ""
        if (before.kind, before.text, before.revised and before.revised.asked) != (kind, text, asked):
            raise Conflict("this idempotency key was used for something else", code="idempotency_key_reused")
        return before.id

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
            only_own=kind is ActKind.WITHDRAW and not speaks_for_owner(standing, hold),
            name=person.person or person.subject,
            text=text,
            idempotency_key=idempotency_key,
            revision=revision,
        )
        acted = await self.store.act(draft, self.limits())
        self.changed()
        return acted


def _require_shown(hold: Hold, request: pb.EditHoldRequest) -> None:
    if request.digest != hold.digest:
        message = "what waits is not what you were shown; look at the hold again"
        raise Conflict(message, code="digest_changed")


def _asked(*parts: str | bytes) -> str:
    """The digest of what a reviewer sent, by which the same is recognised."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
