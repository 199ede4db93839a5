"""What a reviewer should know beside the bytes: where things were found, and what was decided before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

from authz_api.v1 import holds_pb2 as pb
from authz_service.core.likeness import Compared, Overlap, common_messages, compared, likeness
from authz_service.core.ports import Store
from authz_service.core.stored_holds import Hold, HoldQuery, HoldState, HoldSummary
from authz_service.errors import AuthzError
from authz_service.framing.json_values import count_values
from authz_service.inspection.edited_answer import FoundText
from authz_service.inspection.shown import shown
from authz_service.masking.seams import Scanner
from authz_service.model_apis.registry import operation_named
from authz_service.runtime.concealing import Seen
from authz_service.runtime.searching import SearchTime
from authz_service.servers.review_conversation import add_shown
from authz_service.servers.review_messages import STATES, safe_text, timestamp, vote_message
from authz_service.servers.roles import Standing
from authz_service.view.unread import Unread

LOOKED_AT = 50
"""How many of the caller's latest holds are compared."""
MOST_BYTES = 8 * 1024 * 1024
"""Of their bodies together."""
SHOWN = 5
ALIKE = 0.2
"""Below this two requests have nothing to do with each other."""
MOST_VALUES = 200_000
"""Of the bodies that are compared, together: each takes time."""

_DECIDED = (HoldState.APPROVED, HoldState.RELEASED, HoldState.REJECTED, HoldState.EXPIRED)
_PASSED = (HoldState.APPROVED, HoldState.RELEASED)


@dataclass(frozen=True, slots=True)
class Before:
    """An earlier hold and what it holds."""

    hold: HoldSummary
    forward: bytes


@dataclass(frozen=True, slots=True)
class Contexts:
    """`scanner` gives the detectors in force; None where nothing is looked for."""

    store: Store
    scanner: Callable[[], Scanner] | None = None

    async def of(
        self, hold: Hold, standing: Standing, seen: Seen | None = None
    ) -> tuple[pb.HoldContext, Sequence[Unread]]:
        """What is known beside the hold, as far as this person may see it, and what in it is no text.

        With what they have `seen` of it nothing is said of the rest. Nor is what a reviewer has edited or
        answered compared: the likeness of what they write would tell them what is concealed in another.
        """
        before, is_partial = await self._before(hold, standing)
        if seen is not None:
            told = [] if hold.revisions else [other for other in before if not other.hold.revisions]
            before, is_partial = told, is_partial or len(told) < len(before)
        return await asyncio.to_thread(self._made, hold, before, seen, is_partial=is_partial)

    async def _before(self, hold: Hold, standing: Standing) -> tuple[list[Before], bool]:
        """The caller's earlier holds that this person may see, the latest first; whether any is left out."""
        query = HoldQuery(states=_DECIDED, caller=hold.caller.identity[1], page_size=LOOKED_AT)
        page = await self.store.holds(query)
        theirs = [
            other
            for other in page.items
            if other.id != hold.id
            and other.caller.identity == hold.caller.identity
            and (other.answer is None) == (hold.answer is None)
            and standing.sees(other)
        ]
        sizes = accumulate((other.size for other in theirs), initial=hold.size)
        kept = [
            other for other, size in zip(theirs, islice(sizes, 1, None), strict=True) if size <= MOST_BYTES
        ]
        try:
            held = await self.store.held_bytes([other.id for other in kept])
        except AuthzError:  # what one of them holds was altered: the rest cannot be told from it
            return [], True
        before = [Before(other, held[other.id]) for other in kept if other.id in held]
        return before, len(before) < len(theirs) or bool(page.next_page_token or page.damaged)

    def _made(
        self, hold: Hold, before: Sequence[Before], seen: Seen | None = None, *, is_partial: bool
    ) -> tuple[pb.HoldContext, Sequence[Unread]]:
        kept = _few_values(before)
        likest, approved, is_cut = _compared(hold, kept)
        is_partial = is_partial or len(kept) < len(before)
        context = pb.HoldContext(
            earlier=[_earlier(other, alike) for other, alike in likest],
            is_partial=is_partial,
            likeness_is_partial=is_cut,
        )
        if approved is not None:
            context.approved_before.hold = approved.hold
            context.approved_before.messages = approved.messages
        if hold.answer is not None:
            return context, ()
        scanner = None if self.scanner is None else self.scanner()
        body = hold.forward if seen is None else seen.hold.forward
        said = shown(hold.api, hold.operation, body, scanner, SearchTime())
        add_shown(context, said, None if approved is None else approved.overlap.has)
        return context, said.unread if seen is None else seen.unread


def _few_values(before: Sequence[Before]) -> Sequence[Before]:
    """The latest of them, as many as do not have too many values together."""
    left = MOST_VALUES
    for index, other in enumerate(before):
        left -= count_values(other.forward, left)
        if left <= 0:
            return before[:index]
    return before


@dataclass(frozen=True, slots=True)
class _Approved:
    """The hold that was approved, and how many turns of it stand there now, from the first."""

    hold: str
    messages: int
    overlap: Overlap


def _compared(
    hold: Hold, before: Sequence[Before]
) -> tuple[list[tuple[HoldSummary, float]], _Approved | None, bool]:
    """Earlier holds of the same rule that are alike, the most alike first and of these the latest; the one
    that was approved with the most turns in common; and whether likeness goes by a part of what is said."""
    own = _of(hold, hold.forward)
    near: list[tuple[HoldSummary, float]] = []
    approved: _Approved | None = None
    is_cut = False
    for other in before:
        is_passed, is_same_rule = other.hold.state in _PASSED, other.hold.rule == hold.rule
        if not (is_passed or is_same_rule):
            continue
        theirs = _of(other.hold, other.forward)
        if is_same_rule and (alike := likeness(own, theirs)) >= ALIKE:
            near.append((other.hold, alike))
        is_cut = is_cut or (is_same_rule and (own.is_cut or theirs.is_cut))
        if is_passed and (common := common_messages(own, theirs)) > (approved.messages if approved else 0):
            approved = _Approved(other.hold.id, common, Overlap(own, theirs, common))
    return sorted(near, key=lambda pair: -pair[1])[:SHOWN], approved, is_cut


def _of(hold: HoldSummary, forward: bytes) -> Compared:
    known = None if hold.answer is not None else operation_named(hold.api, hold.operation)
    return compared(forward, None if known is None else known[0].turn_places(known[1]))


def _earlier(hold: HoldSummary, alike: float) -> pb.EarlierDecision:
    return pb.EarlierDecision(
        id=safe_text(hold.id),
        state=STATES[hold.state],
        likeness=round(alike * 100),
        created_at=timestamp(hold.created_at),
        votes=[vote_message(vote) for vote in hold.votes],
    )


def found_text(text: FoundText) -> pb.FoundText:
    """A text of an answer with what is found in it."""
    found = [pb.Found(start=f.start, end=f.end, entity=f.entity) for f in text.findings]
    return pb.FoundText(name=safe_text(text.name), text=safe_text(text.text), found=found)
