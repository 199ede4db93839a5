"""After a clock went back, all on record has one time until it has caught up; it is whole then too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.acts import AnswerHead
from authz_service.keys.log_key import LogKey
from authz_service.store.record_reader import reading
from authz_service.store.verify_store import verify_store

KEY = LogKey.create("example.com/log")
HEAD = AnswerHead(200, {"content-type": "application/json"})


def test_what_follows_upon_a_release_within_its_time_is_not_taken_for_a_part_of_it(
    place: Any, make: Any, run: Any
) -> None:
    """Such records were called damaged: the answer, a comment, the end, each as a transaction of its own."""

    async def scenario() -> None:
        async with place.store(signer=KEY) as store:
            for name, head in (("request", None), ("answer", HEAD)):
                draft = replace(make.hold(name, request=name), answer=head)
                hold = (await store.open_hold(draft, make.limits)).hold
                await store.vote(make.ballot(hold), make.limits)
                place.clock.time -= 3600
                released = EntryDraft(Kind.REQUEST_RELEASED, name, {"hold": hold.id}, {"body": draft.forward})
                entries = [make.decided(name), released]
                if head is not None:
                    data: dict[str, Any] = {"masked": {}, "hold": hold.id}
                    body = {"body": draft.forward}
                    entries = [EntryDraft(Kind.ANSWER_RELEASED, name, data, body), make.ended(name)]
                assert await store.consume(hold.id, digest=hold.digest, session=name, entries=entries)
                if head is None:
                    await store.append(EntryDraft(Kind.ANSWER_STARTED, name, {"status": 200}))
                    await store.append(make.ended(name))
                await store.append(EntryDraft(Kind.SESSION_READ, name, payloads={"reader": b"{}"}))
            times = {entry.at for entry in await store.entries_after(0)}
            assert len(times) == 1

    run(scenario())
    with reading(place.url) as reader:
        assert verify_store(reader, keys=[KEY.vkey], kept=()).wrong == []
