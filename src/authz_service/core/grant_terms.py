"""The terms of a grant that is made from a hold: never wider than the request that waits there."""

from __future__ import annotations

from dataclasses import dataclass

from authz_service.core.grants import MOST_USES, Beneficiary, OneCaller, OneGroup, Terms
from authz_service.core.ports import HoldSummary
from authz_service.errors import Conflict, Unreadable


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody proposes; what is empty is as the hold has it. `until` is in whole seconds."""

    group: str
    rules: tuple[str, ...]
    tools: tuple[str, ...]
    model: str
    same_template: bool
    uses: int
    until: int


def terms_from(hold: HoldSummary, wanted: Wanted) -> Terms:
    """Raises `Unreadable` for what the hold has not, `Conflict` for a hold whose kind is not on record."""
    if hold.answer is not None and not hold.is_response:
        raise Conflict("a grant lets requests through; here an answer waits", code="answer_waits")
    if hold.traits is None:
        message = "the kind of this request is not on record, so no grant can be made from it"
        raise Conflict(message, code="hold_without_traits")
    if not 1 <= wanted.uses <= MOST_USES:
        raise _refused(f"a grant has 1 to {MOST_USES} uses")
    if wanted.model not in ("", hold.model):
        raise _refused(f"the hold is for the model {hold.model}, and so is a grant that is made from it")
    traits = hold.traits
    return Terms(
        beneficiary=_beneficiary(hold, wanted.group),
        api=hold.api,
        operation=hold.operation,
        model=hold.model,
        rules=_some("rule", wanted.rules, traits.rules),
        tools=_some("tool", wanted.tools, traits.tools),
        unread=traits.unread,
        template=traits.template if wanted.same_template else "",
        approvals=hold.approvals,
        uses=wanted.uses,
        until=wanted.until,
    )


def _beneficiary(hold: HoldSummary, group: str) -> Beneficiary:
    if not group:
        return OneCaller(hold.caller.identity)
    if group not in hold.caller.groups:
        known = ", ".join(hold.caller.groups) or "none"
        raise _refused(f"the caller of the hold is in no group {group}; of theirs there are: {known}")
    return OneGroup(hold.caller.issuer, group)


def _some(what: str, wanted: tuple[str, ...], had: tuple[str, ...]) -> tuple[str, ...]:
    strange = sorted(set(wanted) - set(had))
    if strange:
        known = ", ".join(had) or "none"
        raise _refused(f"the hold has no {what} {strange[0]}; it has: {known}")
    return tuple(sorted(set(wanted))) or had


def _refused(why: str) -> Unreadable:
    return Unreadable(why, code="grant_terms")
