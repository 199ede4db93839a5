"""What one exchange takes is counted: nothing is decoded, judged, sent, committed or logged twice."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.servers.counted_exchanges import ASKED, DONE, EVENTS, WHOLE, Counts, answer, ask, played
from tests.servers.ext_proc_fakes import CAROL, Service
from tests.servers.played_stream import Play

from authz_service.core.ballots import Ballot
from authz_service.core.holds import StageRef, Verdict
from authz_service.core.stored_holds import Hold, HoldLimits


def test_a_whole_exchange_is_read_once_and_judged_once_on_either_side(tmp_path: Path, counts: Counts) -> None:
    async def scenario(service: Service, play: Play, session: str) -> None:
        await ask(service, play, session)
        await answer(play, WHOLE)
        assert (counts.of(ASKED), counts.of(WHOLE)) == (1, 1)
        others = [text for text in counts.decoded if text.encode() not in (ASKED, WHOLE)]
        assert len(others) == 2, "the seal, and who calls, for the columns of the session"
        assert len(set(counts.decoded)) == len(counts.decoded)
        assert counts.asked == {"conditions": 2, "engine": 2}
        assert play.kinds() == ["request_headers", "request_body", "response_headers", "response_body"]
        assert service.store.calls == ["append", "append"]
        kinds = await service.kinds(session)
        assert len(kinds) == len(set(kinds)) == 7

    assert played(tmp_path, scenario, counts) == []


def test_of_a_stream_the_first_event_is_read_and_none_is_judged_or_said_twice(
    tmp_path: Path, counts: Counts
) -> None:
    """Those after it are the same but for a text, and are not read for that."""

    async def scenario(service: Service, play: Play, session: str) -> None:
        await ask(service, play, session)
        await answer(play, *EVENTS, DONE, kind="text/event-stream")
        assert play.body("response_body") == b"".join(EVENTS) + DONE
        events = [text for text in counts.decoded if "choices" in text]
        assert events == [EVENTS[0].decode().removeprefix("data: ").strip()]
        assert counts.asked == {"conditions": 2, "engine": 2}
        pieces = play.kinds().count("response_body")
        assert len(play.kinds()) == 3 + pieces
        assert len(service.store.calls) == 1 + pieces, "one commit before each piece"
        assert pieces <= len(EVENTS) + 1

    assert played(tmp_path, scenario, counts) == []


def test_events_that_differ_are_each_read_once(tmp_path: Path, counts: Counts) -> None:
    events = [
        b"data: " + json.dumps({"choices": [{"index": 0, "delta": {"content": str(n)}}], f"x{n}": n}).encode()
        for n in range(12)
    ]

    async def scenario(service: Service, play: Play, session: str) -> None:
        await ask(service, play, session)
        await answer(play, *(event + b"\n\n" for event in events), DONE, kind="text/event-stream")
        read = [text for text in counts.decoded if "choices" in text]
        assert read == [event.decode().removeprefix("data: ") for event in events]

    assert played(tmp_path, scenario, counts) == []


def test_what_is_held_is_read_when_it_comes_and_when_it_is_released(tmp_path: Path, counts: Counts) -> None:
    """Nothing of it stays in memory meanwhile, and the rules of then are asked."""

    async def scenario(service: Service, play: Play, session: str) -> None:
        await ask(service, play, session, CAROL)
        store = service.gateway.store
        while not (found := await store.session(session)) or found.hold is None:
            await asyncio.sleep(0.005)
        assert counts.of(ASKED) == 1
        assert counts.asked["engine"] == 1
        hold = await store.hold(found.hold)
        assert hold is not None
        await store.vote(ballot(hold), HoldLimits())
        await answer(play, WHOLE)
        assert (counts.of(ASKED), counts.of(WHOLE)) == (2, 1)
        assert counts.asked == {"conditions": 3, "engine": 3}
        assert play.kinds() == ["request_headers", "request_body", "response_headers", "response_body"]
        assert service.store.calls == ["open_hold", "consume", "append"]

    assert played(tmp_path, scenario, counts) == []


def ballot(hold: Hold) -> Ballot:
    """Somebody's vote for it."""
    return Ballot(
        hold=hold.id,
        voter=("https://id", "rita"),
        name="Rita",
        verdict=Verdict.APPROVE,
        digest=hold.digest,
        may_vote_in=(StageRef("security", 0),),
        reason="looked at it",
    )
