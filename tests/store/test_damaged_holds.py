"""A hold whose row cannot be read is said to be damaged, and is no fault of the service's."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import create_engine, text

from authz_service.core.holds import Approval, Stage
from authz_service.core.ports import DAMAGED, HoldLimits
from authz_service.errors import Unavailable

ONE = Approval("one", (Stage("true", 1, 600.0),))


@pytest.mark.parametrize("detail", ["{", "{}", "[]"])
def test_a_row_that_cannot_be_read_is_damaged(detail: str, place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            names = []
            for request in ("one", "another"):
                draft = make.hold(request=request, approvals=(ONE,))
                names.append((await store.open_hold(draft, HoldLimits())).hold.id)
            spoil(place.url, names[0], detail)
            for wanted in (names, names[:1]):
                for read in (store.holds_now, store.summaries):
                    with pytest.raises(Unavailable) as caught:
                        await read(wanted)
                    assert caught.value.code == DAMAGED
            assert list(await store.summaries(names[1:])) == names[1:]

    run(scenario())


def spoil(url: str, hold: str, detail: str) -> None:
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        statement = text("UPDATE holds SET detail = :detail WHERE id = :id")
        connection.execute(statement, {"detail": detail, "id": hold})
    engine.dispose()
