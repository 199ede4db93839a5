"""What a reviewer should know beside the bytes: where things were found, and what was decided before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, islice

from authz_api.v1 import holds_pb2 as pb
from authz_service.core.likeness import common_messages, compared, likeness
from authz_service.core.ports import Hold, HoldQuery, HoldState, HoldSummary, Store
from authz_service.errors import AuthzError
from authz_service.inspection.edited_answer import FoundText
from authz_service.inspection.marks import Mark, marks_in
from authz_service.inspection.reading import view_if_readable
from authz_service.masking.seams import Scanner
from authz_service.servers.review_messages import STATES, safe_text, timestamp, vote_message
from authz_service.servers.roles import Standing
from authz_service.view.request import Path

LOOKED_AT = 50
"""How many of the caller's latest holds are compared."""
MOST_BYTES = 8 * 1024 * 1024
"""Of their bodies together."""
SHOWN = 5
ALIKE = 0.2
"""Below this two requests have nothing to do with each other."""

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

    async def of(self, hold: Hold, standing: Standing) -> pb.HoldContext:
        """What is known beside the hold itself, as far as this person may see it."""
        before, is_partial = await self._before(hold, standing)
        return await asyncio.to_thread(self._made, hold, before, is_partial=is_partial)

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

    def _made(self, hold: Hold, before: Sequence[Before], *, is_partial: bool) -> pb.HoldContext:
        view = None if hold.answer is not None else view_if_readable(hold.api, hold.operation, hold.forward)
        marks = marks_in(view, self.scanner()) if view is not None and self.scanner is not None else ()
        likest, approved = _compared(hold, before)
        context = pb.HoldContext(
            found=[_found(mark) for mark in marks],
            new_turn=_pointer(view.turn) if view is not None else "",
            earlier=[_earlier(other, alike) for other, alike in likest],
            is_partial=is_partial,
        )
        if approved is not None:
            context.approved_before.hold, context.approved_before.messages = approved
        return context


def _compared(
    hold: Hold, before: Sequence[Before]
) -> tuple[list[tuple[HoldSummary, float]], tuple[str, int] | None]:
    """Earlier holds of the same rule that are alike, the most alike first and of these the latest; and the
    one that was approved with the most messages in common, with how many these are."""
    own = compared(hold.forward)
    near: list[tuple[HoldSummary, float]] = []
    approved: tuple[str, int] | None = None
    for other in before:
        is_passed, is_same_rule = other.hold.state in _PASSED, other.hold.rule == hold.rule
        if not (is_passed or is_same_rule):
            continue
        theirs = compared(other.forward)
        if is_same_rule and (alike := likeness(own, theirs)) >= ALIKE:
            near.append((other.hold, alike))
        if is_passed and (common := common_messages(own, theirs)) > (approved[1] if approved else 0):
            approved = other.hold.id, common
    return sorted(near, key=lambda pair: -pair[1])[:SHOWN], approved


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


def _found(mark: Mark) -> pb.Found:
    return pb.Found(
        path=_pointer(mark.path), start=mark.start, end=mark.end, entity=mark.entity, is_key=mark.is_key
    )


def _pointer(path: Path) -> str:
    return safe_text("".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path))
