"""A session of which the caller cannot be read hides no other, and can be ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.store.damaged_holds import opened
from tests.store.damaged_rows import put
from tests.store.forgetting import exchange
from tests.store.places import Place

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.sessions import DAMAGED_STATUS, SessionQuery
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Conflict

KILL = EntryDraft(Kind.SESSION_KILLED, "s1", payloads={"operator": b"{}", "reason": b"It loops."})


@pytest.mark.parametrize("detail", ["{", "[" * 100_000, "[]", '{"issuer": 1}'])
def test_others_are_listed_and_an_operator_ends_it(sealed: Any, make: Any, run: Any, detail: str) -> None:
    async def scenario() -> None:
        async with sealed.store(is_first_signer=True) as store:
            for name in ("s0", "s1", "s2"):
                await store.append(*exchange(make, name, f"of-{name}", end=False))
            put(sealed, "UPDATE sessions SET caller_detail = :detail WHERE id = 's1'", detail=detail)
            page = await store.sessions(SessionQuery(page_size=2))
            assert [(one.id, one.caller is None) for one in page.items] == [("s2", False), ("s1", True)]
            assert page.damaged == ("s1",)
            after = await store.sessions(SessionQuery(page_token=page.next_page_token))
            assert [one.id for one in after.items] == ["s0"]
            assert [one.id for one in await store.some_sessions(["s0", "s1"])] == ["s0", "s1"]
            assert (await store.kill("s1", KILL)).status == "killing"
            with capture_logs() as logs:
                active = await store.active_callers(0.0, "", most=9)
            assert [one.caller.subject for one in active] == ["of-s2", "of-s0"]
            assert [line["session"] for line in logs] == ["s1"]

    run(scenario())


def test_the_hold_of_one_whose_columns_are_damaged_ends_with_it_and_once_it_is_over_it_is_not_ended(
    sqlite_url: str, make: Any, run: Any
) -> None:
    place = Place(sqlite_url)

    async def scenario() -> None:
        async with place.store() as store:
            hold = await opened(store, make)
            put(place, "UPDATE sessions SET started_at = 'then' WHERE id = :id", id=hold.session)
            end = replace(KILL, session=hold.session)
            assert (await store.kill(hold.session, end)).status == DAMAGED_STATUS
            found = await store.hold(hold.id)
            assert found is not None
            assert found.state is HoldState.KILLED
            await store.append(make.ended(hold.session, "killed"))
            with pytest.raises(Conflict) as refused:
                await store.kill(hold.session, end)
            assert refused.value.code == "session_ended"

    run(scenario())


@pytest.mark.parametrize("at", [2**62, -1])
def test_one_whose_end_is_no_time_is_told_as_open_and_an_operator_ends_it(
    sealed: Any, make: Any, run: Any, at: int
) -> None:
    async def scenario() -> None:
        async with sealed.store(is_first_signer=True) as store:
            await store.append(*exchange(make, "s1", "of-s1", end=False))
            put(sealed, "UPDATE sessions SET ended_at = :at WHERE id = 's1'", at=at)
            (told,) = await store.some_sessions(["s1"])
            assert (told.is_damaged, told.ended_at) == (True, None)
            assert (await store.kill("s1", KILL)).ended_at is None

    run(scenario())
