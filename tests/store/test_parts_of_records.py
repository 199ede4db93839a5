"""An export of a part of an honest record, and a proof of one entry, accuse nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.store.forgetting import exchange, purge_all, request
from tests.store.granting import asks, granted
from tests.store.verified_exports import KEY

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.retention import Retention
from authz_service.commands.audit_export import Wanted, export
from authz_service.commands.audit_prove import prove
from authz_service.core.openings import Granted
from authz_service.errors import NotFound
from authz_service.store.record_reader import reading
from authz_verifier import verification


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_range_that_ends_between_a_use_of_a_grant_and_its_release_is_not_missing_it(
    place: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY, is_first_signer=True) as store:
            await granted(store, make)
            before = 256 - 3 - await store.last_sequence()  # received, decided, used
            await store.append(*(EntryDraft(Kind.SERVICE_STOPPED) for _ in range(before)))
            assert isinstance(await asks(store, make, "again", session="s"), Granted)
            used = [e.sequence for e in await store.entries("s") if e.kind == Kind.GRANT_USED]
            assert used == [256]

    run(scenario())
    with reading(place.url) as reader:
        export(reader, tmp_path / "part", Wanted((str(KEY.vkey),), 1, 256), lambda done, size: None)
    assert verification.verify(tmp_path / "part", [str(KEY.vkey)]).wrong == []


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("last", [257, 300])
def test_a_record_that_ends_with_a_use_of_a_grant_is_missing_its_release(
    place: Any, make: Any, run: Any, tmp_path: Path, last: int
) -> None:
    """Also where the range ends before: whole bundles go out."""

    async def scenario() -> None:
        async with place.store(signer=KEY, is_first_signer=True) as store:
            await store.append(*(EntryDraft(Kind.SERVICE_STOPPED) for _ in range(299)))
            await store.append(EntryDraft(Kind.GRANT_USED, "s", {"grant": "g", "number": 1}))

    run(scenario())
    with reading(place.url) as reader:
        export(reader, tmp_path / "part", Wanted((str(KEY.vkey),), 1, last), lambda done, size: None)
    found = verification.verify(tmp_path / "part", [str(KEY.vkey)]).wrong
    assert ("grant g", "has a last use that no release follows") in found


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_of_an_entry_whose_bytes_were_purged_there_is_no_proof(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await store.append(*exchange(make, "s1"))
            sealed.clock.time += 100 * 86400.0
            await purge_all(store, request(sealed, of=Retention.ENTRIES))

    run(scenario())
    with reading(sealed.url) as reader:
        with pytest.raises(NotFound, match="entry 2 was purged"):
            prove(reader, 2, name="example.com/log")
        assert prove(reader, reader.largest(), name="example.com/log")
