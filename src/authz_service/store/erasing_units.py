"""Takes what is left of an erased person, in small units between which others write."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from authz_service.audit.forgotten import Erasure
from authz_service.core.forgetting import Erased
from authz_service.store import erasing, erasing_said, kept_rows, purging
from authz_service.store.asking import PREVIEW_SECONDS, Units
from authz_service.store.erasing import SessionsTaken
from authz_service.store.erasing_said import VotesTaken
from authz_service.store.forgotten_rows import SeenForgotten, read_forgotten
from authz_service.store.pace import Pace
from authz_service.store.sealing import Pseudonym

FIRST_PAYLOADS, FEWEST_PAYLOADS, MOST_PAYLOADS = 200, 10, 2000
FIRST_HOLDS, FEWEST_HOLDS, MOST_HOLDS = 20, 4, 400
FIRST_VOTES, FEWEST_VOTES, MOST_VOTES = 16, 4, 400
FIRST_RESULTS, FEWEST_RESULTS = 100, 10
"""In a unit."""


async def take_all(units: Units, pseudonym: Pseudonym, erasure: Erasure) -> Erased:
    """Take everything; may be done again. Raises `Unavailable`."""
    taken = await _take_sessions(units, erasure)
    said, others = await _take_said(units, pseudonym, erasure)
    await _take_results(units, erasure)
    return Erased(
        taken.sessions,
        taken.payloads + said.payloads,
        said.votes,
        tuple(sorted(erasure.keys)),
        (*taken.damaged, *others),
    )


async def _take_sessions(units: Units, erasure: Erasure) -> SessionsTaken:
    """How much went. One session may have much: it is read beside the writer, and goes in small units."""
    taken, seen = SessionsTaken(), SeenForgotten()
    payloads = Pace(FIRST_PAYLOADS, FEWEST_PAYLOADS, MOST_PAYLOADS)
    holds = Pace(FIRST_HOLDS, FEWEST_HOLDS, MOST_HOLDS)
    while True:
        left = await units.ask(
            lambda reader: erasing.sessions_left(reader, erasure, seen, after=taken.last),
            patience=PREVIEW_SECONDS,
        )
        if left is None:
            return taken
        gone = sum(await payloads.each(units.change, left.digests, purging.delete_payloads))
        await holds.each(units.change, left.holds, purging.forget_holds)
        await units.change(lambda t, left=left: erasing.wipe_sessions(t, left))  # type: ignore[misc]  # no type is seen in a default
        taken.add(left, gone)


async def _take_said(
    units: Units, pseudonym: Pseudonym, erasure: Erasure
) -> tuple[VotesTaken, Sequence[str]]:
    """How much went, and what is damaged. There may be many votes: they go in small units."""
    found, known = await units.ask(
        lambda reader: (erasing_said.said_by(reader, pseudonym, erasure), read_forgotten(reader)),
        patience=PREVIEW_SECONDS,
    )
    taken = VotesTaken()
    pace = Pace(FIRST_VOTES, FEWEST_VOTES, MOST_VOTES)
    take = partial(erasing_said.take_votes, known=known)
    for part in await pace.each(units.change, found.rows, take):
        taken.votes += part.votes
        taken.payloads += part.payloads
        taken.damaged += part.damaged
    return taken, (*found.damaged, *taken.damaged)


async def _take_results(units: Units, erasure: Erasure) -> None:
    pace = Pace(FIRST_RESULTS, FEWEST_RESULTS, kept_rows.ROWS_AT_ONCE)
    while True:
        began = time.monotonic()
        if not await pace.run(units.change, lambda t: kept_rows.take_person(t, erasure, pace.most)):
            return
        await asyncio.sleep(time.monotonic() - began)  # others have as much time
