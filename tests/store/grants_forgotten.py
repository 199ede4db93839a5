"""What tests of forgotten grants share: a grant that was made, and what its caller is called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from authz_service.core.grants import OneGroup
from authz_service.core.openings import Granted
from authz_service.core.stored_holds import HoldLimits

DAY = 86_400.0

ISSUER = "https://issuer.example"


async def granted(place: Any, make: Any, store: Any) -> Any:
    """A grant of a month that alice's request made and bob used; all of both has ended."""
    draft = make.hold("made", caller=caller_of(make, "alice"), traits=make.traits)
    hold = (await store.open_hold(of(place, draft, "alice"), HoldLimits())).hold
    until = int(place.clock.time + 29 * DAY)
    terms = make.terms(beneficiary=OneGroup(ISSUER, "staff"), until=until)
    grant = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker("rita"))
    bob = make.hold("used", request="mine", caller=caller_of(make, "bob"), traits=make.traits)
    assert isinstance(await store.open_hold(of(place, bob, "bob"), HoldLimits()), Granted)
    await store.append(make.ended("made"), make.ended("used"))
    return grant


def caller_of(make: Any, name: str) -> Any:
    return replace(make.caller(name), expires_at=1e12)


def of(place: Any, draft: Any, name: str) -> Any:
    """With whose entries they are, as the service has it."""
    pseudonym = place.pseudonym((ISSUER, name))
    entries = [
        replace(entry, data={**entry.data, "caller": pseudonym} if "caller" in entry.data else entry.data)
        for entry in draft.entries
    ]
    return replace(draft, entries=tuple(replace(entry, subject=pseudonym) for entry in entries))
