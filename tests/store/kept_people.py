"""People who take part in what others ask, one of whom is on legal hold."""

from __future__ import annotations

from typing import Any

from tests.store.erased_names import asked
from tests.store.grants_forgotten import ISSUER

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.entries import exported as export_entry
from authz_service.core.holds import Verdict
from authz_service.view.caller import Caller

ADA, BOB, CAROL = (Caller(ISSUER, name, 0.0) for name in ("ada", "bob", "carol"))


def searched(place: Any, who: Caller) -> EntryDraft:
    payloads = {"reader": caller_payload(who), "text": b"the merger"}
    return EntryDraft(Kind.SESSION_SEARCHED, payloads=payloads, subject=place.pseudonym(who.identity))


async def took_part(place: Any, make: Any, store: Any) -> None:
    """Ada reads what Bob asked, votes on what Carol asked, searches and exports; so does Carol."""
    for name, caller in (("bob's", BOB), ("bob's own", BOB)):
        await asked(place, make, store, name, caller)
    ada = place.pseudonym(ADA.identity)
    hold = (await store.open_hold(make.hold("carol's", caller=make.caller("carol")), make.limits)).hold
    await store.vote(make.ballot(hold, "ada", Verdict.REJECT), make.limits)
    read = EntryDraft(Kind.SESSION_READ, "bob's", {}, {"reader": caller_payload(ADA)}, ada)
    taken_out = export_entry(1, None, payloads=0, reader=ada, name=b"ada")
    for draft in (make.ended("carol's"), read, searched(place, ADA), searched(place, CAROL), taken_out):
        await store.append(draft)
