"""A service account has no say on what its owner sent."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from tests.servers.grant_review import draft
from tests.servers.review_drafts import DIGEST
from tests.servers.review_people import PEOPLE

from authz_service.core.acts import ActKind
from authz_service.core.holds import StageRef, Verdict
from authz_service.errors import Forbidden
from authz_service.servers.review_ballots import ballot_of
from authz_service.servers.review_deciding import Deciding
from authz_service.servers.review_grants import _voter
from authz_service.servers.review_requests import Word
from authz_service.servers.roles import Standing

HOLD = cast(Any, SimpleNamespace(id="hld_0", caller=draft(0).caller))


class Roles:
    """Everybody may vote."""

    def stages_for(self, person: Any, hold: Any) -> tuple[StageRef, ...]:
        return (StageRef("security", 0),)


def bot_of(owner: object) -> Standing:
    person = replace(PEOPLE["rita"], subject="bot", person="", claims={"owner": owner})
    return Standing(person, cast(Any, Roles()), True, False, False, True, False)


@pytest.mark.parametrize("owner", ["alice", ["rob", "alice"]])
@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("breaks_glass", [False, True])
def test_it_has_no_vote_on_its_owners_request(owner: object, verdict: Verdict, breaks_glass: bool) -> None:
    word = Word(DIGEST, "fine", "", breaks_glass)
    with pytest.raises(Forbidden) as refused:
        ballot_of(bot_of(owner), HOLD, word, verdict)
    assert refused.value.code == "own_request"
    assert ballot_of(bot_of("bob"), HOLD, word, verdict).account[1] == "bot"  # type: ignore[index]  # it has one


def test_it_has_no_vote_for_a_grant_from_its_owners_request() -> None:
    with pytest.raises(Forbidden) as refused:
        _voter(bot_of("alice"), HOLD, "fine", "")
    assert refused.value.code == "own_request"
    assert _voter(bot_of("bob"), HOLD, "fine", "").account[1] == "bot"


@pytest.mark.parametrize("kind", ActKind)
def test_it_decides_nothing_in_another_way(kind: ActKind) -> None:
    done: list[ActKind] = []

    class Acts:
        async def act(self, draft: Any, limits: Any) -> Any:
            done.append(draft.kind)

    deciding = Deciding(cast(Any, Acts()), cast(Any, lambda: None), lambda: None, cast(Any, None))
    says_nothing = {ActKind.UNCLAIM, ActKind.COMMENT, ActKind.WITHDRAW}
    with nullcontext() if kind in says_nothing else pytest.raises(Forbidden, match="of theirs"):
        asyncio.run(deciding._act(bot_of("alice"), HOLD, kind, ""))
    asyncio.run(deciding._act(bot_of("bob"), HOLD, kind, ""))
    assert len(done) == (2 if kind in says_nothing else 1)
