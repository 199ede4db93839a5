"""Decisions that do not follow from votes on record are named, whatever rows and signatures say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.store.filled_record import KEY as FILLED_BY
from tests.store.filled_record import fill
from tests.store.forged_uses import FORGED_USES, used_by_another, used_in_a_session_of_another
from tests.store.forger import Forger
from tests.store.forgeries import (
    FORGED,
    UNKNOWN,
    released_past_its_hold,
    voted_from_the_requesters_account,
    with_a_vote_that_came_too_late,
    with_two_names_of_one_account,
)
from tests.store.verified_exports import KEY, exported

from authz_service.audit.draft import Data, EntryDraft, Kind, Scalar
from authz_service.core.used_once import once
from authz_service.framing.headers import MARKS
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store
from authz_verifier import decisions


@pytest.mark.parametrize("forged", FORGED_USES, ids=lambda forged: forged.__name__)
def test_a_use_of_a_grant_by_whom_it_is_not_for_is_named(
    place: Any, make: Any, run: Any, tmp_path: Path, forged: Callable[[Forger], Awaitable[str]]
) -> None:
    async def scenario() -> tuple[str, int]:
        async with place.store(signer=KEY) as store:
            what = await forged(Forger(place, make, store))
            return what, int(await store.last_sequence())

    what, last = run(scenario())
    with reading(place.url) as reader:
        assert (f"entry {last - 1}", what) in said(reader, with_payloads=True)
        assert forged is used_by_another or (f"entry {last - 1}", what) in said(reader, with_payloads=False)
    if place.url.startswith("sqlite"):
        found = (f"entry {last - 1}", what) in exported(place, tmp_path / "out", payloads=True)
        assert found is (forged is not used_in_a_session_of_another)


@pytest.mark.parametrize("forged", FORGED, ids=lambda forged: forged.__name__)
def test_what_does_not_follow_from_votes_on_record_is_named(
    place: Any, make: Any, run: Any, forged: Callable[[Forger], Awaitable[str]]
) -> None:
    async def scenario() -> tuple[str, int]:
        async with place.store(signer=KEY) as store:
            what = await forged(Forger(place, make, store))
            return what, int(await store.last_sequence())

    what, last = run(scenario())
    with reading(place.url) as reader:
        assert (f"entry {last}", what) in said(reader, with_payloads=True)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("forged", [f for f in FORGED if f not in UNKNOWN], ids=lambda f: f.__name__)
def test_where_payloads_are_gone_the_entries_alone_still_say_so(
    place: Any, make: Any, run: Any, forged: Callable[[Forger], Awaitable[str]]
) -> None:
    async def scenario() -> tuple[str, int]:
        async with place.store(signer=KEY) as store:
            what = await forged(Forger(place, make, store))
            return what, int(await store.last_sequence())

    what, last = run(scenario())
    with reading(place.url) as reader:
        assert (f"entry {last}", what) in said(reader, with_payloads=False)


def said(reader: Any, *, with_payloads: bool) -> set[tuple[str, str]]:
    report = verify_store(reader, keys=[KEY.vkey], kept=(), with_payloads=with_payloads)
    return {(wrong.record, wrong.what) for wrong in report.wrong}


LIVE_ONLY = {
    with_two_names_of_one_account,
    with_a_vote_that_came_too_late,
    voted_from_the_requesters_account,
    released_past_its_hold,
}
"""What an export's own verifier does not derive: who has several accounts, when votes came, and how each
exchange was decided."""


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("forged", [f for f in FORGED if f not in LIVE_ONLY], ids=lambda f: f.__name__)
def test_an_export_of_it_says_the_same_by_itself(
    place: Any, make: Any, run: Any, tmp_path: Path, forged: Callable[[Forger], Awaitable[str]]
) -> None:
    async def scenario() -> tuple[str, int]:
        async with place.store(signer=KEY) as store:
            what = await forged(Forger(place, make, store))
            return what, int(await store.last_sequence())

    what, last = run(scenario())
    for payloads in (True, False) if forged not in UNKNOWN else (True,):
        folder = tmp_path / f"out-{payloads}"
        assert (f"entry {last}", what) in exported(place, folder, payloads=payloads)


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("payloads", [True, False])
def test_holds_and_grants_of_every_kind_are_fine_in_an_export(
    place: Any, make: Any, run: Any, tmp_path: Path, payloads: bool
) -> None:
    run(fill(place, make))
    assert exported(place, tmp_path / "out", payloads=payloads, key=FILLED_BY) == []


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
@pytest.mark.parametrize("later", [0, 3599, 3600 + 299])
def test_an_export_in_which_an_assertion_was_used_twice_says_so(
    place: Any, run: Any, tmp_path: Path, later: int
) -> None:
    digest: list[Scalar] = [once("assertion", "one")]

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            for number in range(2):
                until = int(place.clock.time) + 3600
                used: Data = {"used": digest, "until": until}
                await store.append(EntryDraft(Kind.LOGIN_ACCEPTED, data=used))
                place.clock.time += 0 if number else later

    run(scenario())
    what = (f"used once {digest[0]}", "was used by entry 1, and by entry 2")
    assert exported(place, tmp_path / "out") == [what]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_digest_whose_time_is_over_may_come_again(place: Any, run: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            for name in ("one", "two", "one"):  # that of the second lets go of the first
                digest: list[Scalar] = [once("assertion", name)]
                used: Data = {"used": digest, "until": int(place.clock.time) + 3600}
                await store.use_once(EntryDraft(Kind.LOGIN_ACCEPTED, data=used))
                place.clock.time += 3600 + 301

    run(scenario())
    assert exported(place, tmp_path / "out") == []


def test_the_verifier_knows_the_headers_of_answers_that_reviewers_had_a_part_in() -> None:
    assert MARKS == decisions.REVISED
