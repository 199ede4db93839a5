"""A list of holds or of grants goes on where it was after a purge between two pages, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from tests.store.forgetting import DAY, ORDER, purge_all, request

from authz_service.audit.retention import Retention
from authz_service.core.openings import Opened
from authz_service.core.stored_grants import GrantQuery
from authz_service.core.stored_holds import HoldLimits, HoldQuery, HoldState
from authz_service.store.sql_store import SqlStore

LIMITS = HoldLimits(pending_per_caller=100)


async def waits(store: SqlStore, make: Any, name: str) -> str:
    """A request that was let through under a grant made from its like, and has ended: the grant's id."""
    opening = await store.open_hold(make.hold(name, request=name, id=name, traits=make.traits), LIMITS)
    assert isinstance(opening, Opened)
    hold = opening.hold
    terms = make.terms(until=int(await store.now()) + 60)
    await store.vote(make.ballot(hold), LIMITS)
    made = await store.propose_grant(hold.id, terms=terms, shown=hold.digest, by=make.maker())
    await store.consume(hold.id, digest=hold.digest, session=name, entries=[make.released(name)])
    await store.append(make.ended(name))
    return made.id


@pytest.mark.parametrize("retention", [Retention.PAYLOADS, Retention.ENTRIES])
def test_what_stays_is_on_one_page_each(sealed: Any, make: Any, run: Any, retention: Retention) -> None:
    """The last of a page may itself be gone by then, and new ones come before the first."""

    async def scenario() -> None:
        async with sealed.store() as store:
            grants = {}
            for name in ("kept", "a", "b", "c", "d", "e"):
                if name == "c":
                    await store.forgetting.keep(session="kept", subject=None, order=ORDER)
                    sealed.clock.time += 300 * DAY
                grants[name] = await waits(store, make, name)
                sealed.clock.time += 61
            sealed.clock.time += 101 * DAY
            await store.expire_overdue()
            for size, first, rest in (
                (2, ["e", "d"], ["c", "kept"]),
                (4, ["e", "d", "c", "b"], ["kept"]),
            ):
                pages = [
                    await store.holds(HoldQuery(states=(HoldState.RELEASED,), page_size=size)),
                    await store.grants(GrantQuery(page_size=size)),
                ]
                if size == 4:
                    await purge_all(store, request(sealed, 400, Retention.PAYLOADS))
                    await purge_all(store, request(sealed, 400, retention))
                    await waits(store, make, "new")
                holds = HoldQuery(
                    states=(HoldState.RELEASED,), page_size=3, page_token=pages[0].next_page_token
                )
                more = await store.holds(holds)
                others = await store.grants(GrantQuery(page_size=3, page_token=pages[1].next_page_token))
                found = [[*page.items] for page in (pages[0], more, pages[1], others)]
                names = {grant: name for name, grant in grants.items()}
                told = [[names.get(item.id, item.id) for item in items] for items in found]
                if size == 2:
                    rest = ["c", "b", "a"]
                assert told == [first, rest, first, rest]
                assert (more.next_page_token == "") is (size == 4)

    run(scenario())
