"""Uses of grants by whom they are not for, each as it is forged."""

from __future__ import annotations

from typing import Any

from tests.store.forger import ISSUER, Forger
from tests.store.places import pseudonym_of

from authz_service.audit.draft import EntryDraft, Kind


async def used(forger: Forger, who: tuple[str, str], session: str = "s2", **more: Any) -> None:
    """The grant that was proposed last lets a request of alice's through, and it is said whose."""
    draft = forger.make.hold(session, request="again", traits=forger.make.traits)
    data = {"hold": forger.hold.id, "number": 1, "uses": 2, "person": pseudonym_of(who), "typed": [], **more}
    await forger.store.append(
        *draft.entries,
        EntryDraft(Kind.GRANT_USED, session, data),
        EntryDraft(Kind.REQUEST_RELEASED, session, {"grant": data["grant"]}, {"body": b"again"}),
    )


async def used_by_another(forger: Forger) -> str:
    await used(forger, (ISSUER, "mallory"), grant=await forger.proposed(forger.make.security))
    return "is a use of a grant that is for somebody else"


async def used_by_who_voted_for_it(forger: Forger) -> str:
    await used(forger, (ISSUER, "rita"), grant=await forger.proposed(forger.make.security))
    return "is a use of a grant by one who voted for it"


async def used_by_the_account_of_who_voted_for_it(forger: Forger) -> str:
    grant = await forger.proposed(forger.make.security)
    await used(forger, (ISSUER, "alice"), grant=grant, owners=[pseudonym_of(("owner", "rita"))])
    return "is a use of a grant by one who voted for it"


async def used_in_a_session_of_another(forger: Forger) -> str:
    await used(forger, (ISSUER, "mallory"), grant=await forger.proposed(forger.make.security))
    return "is a use of a grant by somebody else than its session's caller"


FORGED_USES = [
    used_by_another,
    used_by_who_voted_for_it,
    used_by_the_account_of_who_voted_for_it,
    used_in_a_session_of_another,
]
