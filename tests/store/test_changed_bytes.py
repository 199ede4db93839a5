"""Whoever decides on bytes that do not wait any more is told who changed them."""

from __future__ import annotations

from typing import Any

import pytest

from authz_service.core.acts import ActDraft, ActKind, AnswerHead, Revision
from authz_service.core.holds import StageRef
from authz_service.core.stored_holds import HoldLimits
from authz_service.errors import Conflict

LIMITS = HoldLimits()
HEAD = AnswerHead(200, {"content-type": "application/json"})


def by(name: str) -> tuple[str, str]:
    return ("https://issuer.example", name)


def change(hold: Any, kind: ActKind, who: str, forward: bytes) -> ActDraft:
    answer = HEAD if kind is ActKind.RESPOND else None
    revision = Revision(hold.digest, forward, {}, (StageRef("security", 0),), answer=answer)
    return ActDraft(hold.id, kind, by(who), by(who), who.title(), revision=revision)


@pytest.mark.parametrize(
    ("kind", "did"),
    [(ActKind.EDIT, "edited it"), (ActKind.RESPOND, "answered in the place of the model")],
)
def test_a_vote_an_edit_and_one_of_many_are_told_who_and_when(
    kind: ActKind, did: str, place: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = (await store.open_hold(make.hold(), LIMITS)).hold
            place.clock.time += 60
            await store.act(change(hold, ActKind.EDIT, "carol", b"first"), LIMITS)
            now = await store.hold(hold.id)
            place.clock.time += 60
            await store.act(change(now, kind, "sam", b"second"), LIMITS)
            what = f"not what you were shown: Sam {did} at 2027-01-15T08:02:00"
            for shown in (hold, now):
                with pytest.raises(Conflict, match=what) as refused:
                    await store.vote(make.ballot(hold, digest=shown.digest), LIMITS)
                assert refused.value.code == "digest_changed"
            with pytest.raises(Conflict, match=what):
                await store.act(change(now, ActKind.EDIT, "tom", b"third"), LIMITS)
            (one,) = await store.vote_all([make.ballot(hold, digest=hold.digest)], LIMITS)
            assert what in str(one)

    run(scenario())


def test_where_nobody_changed_it_nobody_is_named(place: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with place.store() as store:
            hold = (await store.open_hold(make.hold(), LIMITS)).hold
            with pytest.raises(Conflict, match=r"what you were shown; look at the hold again$"):
                await store.vote(make.ballot(hold, digest="0" * 64), LIMITS)

    run(scenario())
