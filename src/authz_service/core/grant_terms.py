"""The terms of a grant that is made from a hold: never wider than the request that waits there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from authz_service.core.caller_facts import ANY_CLAIM, caller_facts
from authz_service.core.grants import MOST_USES, Beneficiary, OneCaller, OneGroup, Terms
from authz_service.core.stored_holds import HoldSummary
from authz_service.errors import Conflict, Unreadable

ANYTHING: Final = frozenset({"caller.*", "findings.*", "request.rule"})
"""What a condition may read that nobody can read any more, as far as grants ask."""


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


def terms_from(hold: HoldSummary, wanted: Wanted, *, reads: Collection[str]) -> Terms:
    """Raises `Unreadable` for what the hold has not, `Conflict` for a hold whose kind is not on record.

    `reads` is what the conditions of the hold's stages look at, as `Condition.reads` has it: what they read
    of the caller has to stay as it is.
    """
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
        unchanged=caller_facts(hold.caller, reads),
    )


def require_same_voters(terms: Terms, hold: HoldSummary, reads: Collection[str]) -> None:
    """Raises `Conflict` where these terms cover requests on which other people than on the hold would vote.

    `reads` is what the conditions of the hold's stages look at, as `Condition.reads` has it.
    """
    if any(name.startswith("findings.") for name in reads):
        message = (
            "who votes on this hold depends on what was found in it (`findings` in a stage's condition), and"
            " in another request something else is found: no grant can be made from it; vote on each hold"
        )
        raise Conflict(message, code="voters_differ")
    if isinstance(terms.beneficiary, OneGroup) and any(name.startswith("caller.") for name in reads):
        message = (
            "who votes on this hold depends on its caller (`caller` in a stage's condition): a grant that is"
            " made from it is for that caller, not for a group"
        )
        raise Conflict(message, code="voters_differ")
    if ANY_CLAIM in reads:
        message = (
            "who votes on this hold depends on claims that a stage's condition does not name (`caller.claims`"
            " as a whole), and each token has others: no grant can be made from it; vote on each hold"
        )
        raise Conflict(message, code="voters_differ")
    if terms.unchanged != caller_facts(hold.caller, reads):
        message = "who votes on this hold is known by more than these terms keep: propose the grant anew"
        raise Conflict(message, code="voters_differ")
    if "request.rule" in reads and terms.rules != (hold.rule,):
        message = (
            "who votes on this hold depends on its rule (`request.rule` in a stage's condition): a grant that"
            f" is made from it is for that rule alone, {hold.rule}"
        )
        raise Conflict(message, code="voters_differ")


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
