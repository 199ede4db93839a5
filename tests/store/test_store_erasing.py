"""An erased person is gone from the record, and nobody else; what is kept, open or held is not erased."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.store.forgetting import ALICE, ORDER, commented, exchange, require_whole, rows

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.holds import Verdict
from authz_service.core.stored_holds import HoldLimits
from authz_service.errors import Conflict, Unavailable
from authz_service.store import erasing, erasing_said


def test_an_erased_person_is_gone_and_nobody_else_is(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            alice = sealed.pseudonym(ALICE)
            first = replace(make.received("s1"), subject=alice)
            first = replace(first, data={**first.data, "caller": alice})
            await store.append(first, *[replace(d, subject=alice) for d in exchange(make, "s1")[1:]])
            await store.append(*exchange(make, "s2", "bob"))
            hold = (await store.open_hold(make.hold("s3", caller=make.caller("bob")), make.limits)).hold
            await store.vote(make.ballot(hold, "alice", Verdict.REJECT), HoldLimits())
            await store.append(make.ended("s3"))
            (person,) = await store.forgetting.people("alice")
            assert (person.pseudonym, person.subject) == (alice, "alice")
            erased = await store.forgetting.erase(alice, ORDER)
            assert (erased.sessions, erased.votes, len(erased.keys)) == (1, 1, 1)
            entries = await store.entries("s1")
            assert not any(entry.payloads for entry in entries)
            assert entries[0].missing["caller"].startswith("erased on 2027-01-15 by olga (entry ")
            voted = next(e for e in await store.entries("s3") if e.kind == "hold.voted")
            assert voted.missing["voter"].startswith("erased on ")
            assert voted.payloads == {"reason": b"looked at it"}
            assert await store.forgetting.people("alice") == []
            assert len((await store.entries("s2"))[2].payloads) == 1
            assert [vote.name for vote in (await store.hold(hold.id)).votes] == [""]
            kinds = [entry.kind for entry in await store.entries("record.retention")]
            assert kinds == ["record.erasure_ordered", "record.erased"]

    run(scenario())
    require_whole(sealed)
    for table in ("sessions", "holds", "votes", "entries"):
        assert not any("alice" in str(row) for row in rows(sealed, f"SELECT * FROM {table}"))


def test_whoever_commented_is_erased_and_the_comment_stays(sealed: Any, make: Any, run: Any) -> None:
    rita = sealed.pseudonym(("https://issuer.example", "rita"))

    async def scenario() -> None:
        async with sealed.store() as store:
            hold = (await store.open_hold(make.hold("s1"), make.limits)).hold
            await store.act(commented(hold.id, "rita"), make.limits)
            with pytest.raises(Conflict, match=hold.id):
                await store.forgetting.erase(rita, ORDER)
            await store.vote(make.ballot(hold, "rob", Verdict.REJECT), make.limits)
            await store.append(make.ended("s1"))
            await store.forgetting.erase(rita, ORDER)
            (act,) = (await store.hold(hold.id)).acts
            assert (act.name, act.text) == ("", "looked at it")
            told = next(e for e in await store.entries("s1") if e.kind == "hold.commented")
            assert told.missing["voter"].startswith("erased on ")
            assert told.payloads == {"comment": b"looked at it"}

    run(scenario())
    for table in ("holds", "hold_acts", "entries"):
        assert not any("rita" in str(row) for row in rows(sealed, f"SELECT * FROM {table}"))


def test_what_is_kept_open_or_held_is_not_erased(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*exchange(make, "s1"), *exchange(make, "s2", "bob", end=False))
            keep = await store.forgetting.keep(session="s1", subject=None, order=ORDER)
            with pytest.raises(Conflict, match=keep.id):
                await store.forgetting.erase("p-alice", ORDER)
            with pytest.raises(Conflict, match="still open"):
                await store.forgetting.erase("p-bob", ORDER)
            draft = make.hold("s3", caller=make.caller("carol"))
            hold = (await store.open_hold(draft, make.limits)).hold
            await store.append(make.ended("s3"))
            with pytest.raises(Conflict, match=hold.id):
                await store.forgetting.erase(sealed.pseudonym(("https://issuer.example", "carol")), ORDER)
            assert (await store.entries("s1"))[2].payloads
            kinds = [entry.kind for entry in await store.entries("record.retention")]
            assert kinds == ["record.kept"]

    run(scenario())


@pytest.mark.parametrize("of", ["session", "subject"])
def test_who_voted_on_what_is_kept_or_read_it_is_not_erased(
    sealed: Any, make: Any, run: Any, of: str
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            alice, bob = sealed.pseudonym(ALICE), sealed.pseudonym(("https://issuer.example", "bob"))
            draft = make.hold("s1")
            asked = replace(draft.entries[0], subject=alice, data={**draft.entries[0].data, "caller": alice})
            hold = (await store.open_hold(replace(draft, entries=(asked,)), make.limits)).hold
            await store.vote(make.ballot(hold, "bob", Verdict.REJECT), HoldLimits())
            read = EntryDraft(Kind.SESSION_READ, "s1", {}, {"reader": b"{}"}, "p-dora")
            await store.append(make.ended("s1"), read)
            name, other = ("s1", None) if of == "session" else (None, alice)
            keep = await store.forgetting.keep(session=name, subject=other, order=ORDER)
            for subject in (bob, "p-dora"):
                with pytest.raises(Conflict, match=keep.id):
                    await store.forgetting.erase(subject, ORDER)
            await store.forgetting.erase("p-eve", ORDER)
            await store.forgetting.lift(keep.id, ORDER)
            assert (await store.forgetting.erase(bob, ORDER)).votes == 1

    run(scenario())


@pytest.mark.parametrize("step", ["sessions_left", "wipe_sessions", "said_by", "finish"])
def test_an_erasure_that_a_crash_interrupts_is_completed_at_the_next_start(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def crash(*_: Any, **__: Any) -> Any:
        raise Unavailable("the disk is full", code="store_unavailable")

    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*exchange(make, "s1"), *exchange(make, "s2", "bob"))
            with monkeypatch.context() as patched:
                patched.setattr(erasing_said if step == "said_by" else erasing, step, crash)
                with pytest.raises(Unavailable):
                    await store.forgetting.erase("p-alice", ORDER)
            assert not any(entry.payloads for entry in await store.entries("s1"))
        async with sealed.store() as store:
            assert await store.forgetting.resume_erasures() == 1
            assert await store.forgetting.resume_erasures() == 0
            assert (await store.entries("record.retention"))[-1].kind == "record.erased"
            assert (await store.session("s1")).caller is None
            assert (await store.entries("s2"))[2].payloads

    run(scenario())
    require_whole(sealed)


def test_a_backup_of_the_keys_that_is_restored_brings_nobody_back(
    sealed: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            await store.append(*exchange(make, "s1"))
            # The service's own key is in the backup too: keys that are older than the record are refused.
            await store.append(
                EntryDraft(Kind.POLICY_ACTIVATED, data={"policy": "d"}, payloads={"file": b"f"})
            )
        shutil.copytree(sealed.keys, tmp_path / "backup")
        async with sealed.store() as store:
            await store.forgetting.erase("p-alice", ORDER)
        shutil.copy(tmp_path / "backup" / "keys.db", sealed.keys / "keys.db")
        keyring = sealed.keyring()
        assert keyring.current("p-alice").id in restored_ids(sealed)
        async with sealed.store(keyring=keyring) as store:
            assert await store.forgetting.resume_erasures() == 1
            assert keyring.current("p-alice").id not in restored_ids(sealed)

    run(scenario())


def restored_ids(place: Any) -> set[str]:
    entries = [json.loads(bytes(row.body)) for row in rows(place, "SELECT body FROM entries")]
    return {key for e in entries if e["kind"] == "record.erased" for key in e["data"]["keys"]}
