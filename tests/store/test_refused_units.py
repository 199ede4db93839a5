"""What the database refuses leaves the writer's connection as good as it was, whenever it comes.

A statement that was to be prepared behind one that failed was taken for prepared: a worker that several
exchanges came to again, as another had died, refused most of what came to it from then on.
"""

from __future__ import annotations

from typing import Any

import pytest

from authz_service.core.ports import BEGUN_BEFORE
from authz_service.errors import Conflict


async def begins_again(store: Any, make: Any, session: str) -> None:
    with pytest.raises(Conflict) as refused:
        await store.append(make.received(session), make.decided(session))
    assert refused.value.code == BEGUN_BEFORE


@pytest.mark.parametrize("before", range(6))
def test_the_record_is_written_on_however_many_exchanges_begin_twice(
    place: Any, make: Any, run: Any, before: int
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            await store.append(make.received("first"))
            await begins_again(store, make, "first")
            for number in range(before):
                await store.append(make.received(f"s{number}"), make.decided(f"s{number}"))
            for _ in range(6):
                await begins_again(store, make, "first")
            for number in range(8):
                await store.append(make.received(f"t{number}"), make.decided(f"t{number}"))
                assert len(await store.entries(f"t{number}")) == 2

    run(scenario())
