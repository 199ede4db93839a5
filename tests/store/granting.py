"""Grants that are asked for, made and verified, for the tests of grants."""

from __future__ import annotations

from typing import Any

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.holds import Approval, Stage
from authz_service.core.openings import Opened
from authz_service.core.stored_holds import HoldLimits
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")


LIMITS = HoldLimits()


TWO = Approval("two", (Stage("true", 2, 600.0),))


async def hold_of(store: Any, make: Any, request: str = "first", **more: Any) -> Any:
    opening = await store.open_hold(make.hold(request=request, traits=make.traits, **more), LIMITS)
    assert isinstance(opening, Opened)
    return opening.hold


async def granted(store: Any, make: Any, **more: Any) -> Any:
    """A grant in force, made from a hold of alice's."""
    hold = await hold_of(store, make)
    return await store.propose_grant(hold.id, terms=make.terms(**more), shown=hold.digest, by=make.maker())


async def asks(store: Any, make: Any, request: str, **more: Any) -> Any:
    more.setdefault("traits", make.traits)
    return await store.open_hold(make.hold(request=request, **more), LIMITS)


def verified(place: Any) -> None:
    with reading(place.url) as reader:
        assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []


def enough(session: str) -> EntryDraft:
    return EntryDraft(Kind.SESSION_KILLED, session, payloads={"reason": b"enough"})
