"""Whoever is erased and comes back is the same person to what still waits."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.store.damaged_holds import spoil
from tests.store.forgetting import ORDER, commented

from authz_service.core.acts import ActKind, AnswerHead, Revision
from authz_service.core.holds import Approval, Stage, StageRef, Verdict
from authz_service.core.sessions import SessionQuery
from authz_service.core.stored_holds import HoldState
from authz_service.errors import Conflict, Forbidden
from authz_service.framing.headers import EDITED_HEADER
from authz_service.store.erasures import Erasures

TWO = Approval("two", (Stage("true", 2, 600.0),))
RITA = ("https://issuer.example", "rita")


@pytest.fixture
def between(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Awaitable[None]]], None]:
    """Has something happen once an erasure is ordered, and before it takes names from votes."""

    def put(happens: Callable[[], Awaitable[None]]) -> None:
        carry_out = Erasures._carry_out

        async def after(self: Erasures, erasure: Any) -> Any:
            await happens()
            return await carry_out(self, erasure)

        monkeypatch.setattr(Erasures, "_carry_out", after)

    return put


def test_a_vote_while_an_erasure_is_under_way_is_the_only_one(
    sealed: Any, make: Any, run: Any, between: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            done = (await store.open_hold(make.hold("s1"), make.limits)).hold
            await store.vote(make.ballot(done, "rita", Verdict.REJECT), make.limits)
            await store.append(make.ended("s1"))
            hold = (await store.open_hold(make.hold("s2", request="b", approvals=(TWO,)), make.limits)).hold

            async def votes() -> None:
                await store.vote(make.ballot(hold, "rita"), make.limits)

            between(votes)
            await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)
            assert [vote.name for vote in (await store.hold(done.id)).votes] == [""]
            with pytest.raises(Conflict) as refused:
                await store.vote(make.ballot(hold, "rita"), make.limits)
            assert refused.value.code == "already_voted"
            assert (await store.hold(hold.id)).state is HoldState.PENDING

    run(scenario())


def test_an_edit_while_an_erasure_is_under_way_is_still_ones_own(
    sealed: Any, make: Any, run: Any, between: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            done = (await store.open_hold(make.hold("s1"), make.limits)).hold
            await store.vote(make.ballot(done, "rita", Verdict.REJECT), make.limits)
            await store.append(make.ended("s1"))
            hold = (await store.open_hold(make.hold("s2", request="b"), make.limits)).hold
            revision = Revision(hold.digest, b"edited", {}, (StageRef("security", 0),))

            async def edits() -> None:
                await store.act(
                    replace(commented(hold.id, "rita", ActKind.EDIT), revision=revision), make.limits
                )

            between(edits)
            await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)
            with pytest.raises(Forbidden) as refused:
                await store.vote(make.ballot(await store.hold(hold.id), "rita"), make.limits)
            assert refused.value.code == "own_edit"

    run(scenario())


def test_who_decided_alone_is_not_erased_before_that_is_reviewed(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            hold = (await store.open_hold(make.hold("s1"), make.limits)).hold
            alone = replace(make.ballot(hold, "rita", Verdict.REJECT), may_vote_in=(), is_break_glass=True)
            await store.vote(alone, make.limits)
            await store.append(make.ended("s1"))
            with pytest.raises(Conflict, match="reviewed") as refused:
                await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)
            assert refused.value.code == "still_held"
            await store.act(commented(hold.id, "rob", ActKind.REVIEW), make.limits)
            await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)

    run(scenario())


@pytest.mark.parametrize("is_damaged", [False, True])
def test_who_edited_what_an_open_hold_came_from_is_not_erased(
    sealed: Any, make: Any, run: Any, is_damaged: bool
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            head = AnswerHead(200, {"content-type": "application/json"})
            first = (await store.open_hold(replace(make.hold("s1"), answer=head), make.limits)).hold
            revision = Revision(first.digest, b"edited", {}, (StageRef("security", 0),), answer=head)
            edit = replace(commented(first.id, "rita", ActKind.EDIT), revision=revision)
            await store.act(edit, make.limits)
            marked = replace(head, headers={**head.headers, EDITED_HEADER: "true"})
            draft = replace(make.hold("s1", forward=b"edited"), answer=marked, replaces=first.id)
            anew = replace(draft, entries=draft.entries[1:])
            hold = (await store.open_hold(anew, make.limits)).hold
            assert (await store.hold(first.id)).state is HoldState.SUPERSEDED
            await store.append(make.ended("s1"))
            if is_damaged:
                spoil(sealed, hold.id, "{")
            with pytest.raises(Conflict, match=hold.id):
                await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)

    run(scenario())


def test_what_others_asked_is_still_found_once_who_voted_on_it_was_erased(
    sealed: Any, make: Any, run: Any
) -> None:
    said = json.dumps({"messages": [{"role": "user", "content": "the merger"}]}).encode()

    async def found(store: Any, **query: Any) -> list[str]:
        while await store.index_step(has_texts=True):
            pass
        return [session.id for session in (await store.sessions(SessionQuery(**query))).items]

    async def scenario() -> None:
        async with sealed.store() as store:
            hold = (await store.open_hold(make.hold("s1", forward=said, approvals=(TWO,)), make.limits)).hold
            await store.vote(make.ballot(hold, "rob"), make.limits)
            await store.vote(make.ballot(hold, "rita", Verdict.REJECT), make.limits)
            await store.append(make.ended("s1"))
            assert await found(store, reviewer="Rita") == ["s1"]
            await store.forgetting.erase(sealed.pseudonym(RITA), ORDER)
            for name in ("rita", "Rita"):
                assert await found(store, reviewer=name) == []
            for query in ({"reviewer": "rob"}, {"text": "merger"}, {"group": "staff"}):
                assert await found(store, **query) == ["s1"]
            await store.append(make.ended("s1"))
            assert await found(store, reviewer="rita") == []
            assert await found(store, text="merger") == ["s1"]

    run(scenario())
