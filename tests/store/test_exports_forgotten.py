"""An export verifies by itself, whoever was erased and whenever, and what nobody was erased of is missed."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.store.erased_names import asked
from tests.store.forgetting import ORDER
from tests.store.forgotten import KEY, change, hex_of, verify
from tests.store.forgotten_exports import export_with, exported
from tests.store.grants_forgotten import ISSUER, granted

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.forgetting import Order
from authz_service.store.erasures import Erasures
from authz_service.store.keyring import Keyring
from authz_service.view.caller import Caller
from authz_verifier import forgotten, verification

ZELDA = Caller(ISSUER, "zelda-q7", 0.0)


@pytest.mark.parametrize("who", ["alice", "rita", "rob"])
def test_who_asked_for_a_grant_voted_for_it_or_revoked_it_was_erased(
    who: str, sealed: Any, make: Any, run: Any, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            grant = await granted(sealed, make, store)
            await store.revoke_grant(grant.id, by=make.maker("rob"))
            await store.forgetting.erase(sealed.pseudonym((ISSUER, who)), ORDER)

    run(scenario())
    assert verify(sealed) == []
    assert exported(sealed, tmp_path / "out").wrong == []


def test_an_officer_has_erased_themselves(sealed: Any, make: Any, run: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", ZELDA)
            order = Order("zelda-q7", "I leave", ZELDA.identity)
            await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), order)

    run(scenario())
    assert verify(sealed) == []
    assert exported(sealed, tmp_path / "out").wrong == []


def test_what_they_asked_while_they_were_erased_may_be_gone_and_what_they_asked_since_may_not(
    sealed: Any, make: Any, run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another replica knows the old key for half a minute."""
    destroy, current = Erasures._destroy, Keyring.current
    pseudonym = sealed.pseudonym(ZELDA.identity)

    async def later(self: Any, erasure: Any) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(Keyring, "current", old_key)
            await asked(sealed, make, opened[0], "meanwhile", ZELDA)
        await destroy(self, erasure)
        meanwhile = export_with(self._keyring, sealed, tmp_path / "under way")
        assert meanwhile.wrong == []
        assert any("an erasure is under way" in note for note in meanwhile.notes)

    def old_key(self: Any, subject: str) -> Any:
        return keys[subject] if subject in keys else current(self, subject)

    opened: list[Any] = []
    keys: dict[str, Any] = {}
    monkeypatch.setattr(Erasures, "_destroy", later)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            opened.append(store)
            await asked(sealed, make, store, "before", ZELDA)
            keys[pseudonym] = store._keyring.current(pseudonym)
            await store.forgetting.erase(pseudonym, ORDER)
            assert (await store.entries("meanwhile"))[1].missing
            await asked(sealed, make, store, "since", ZELDA)

    run(scenario())
    assert verify(sealed) == []
    done = exported(sealed, tmp_path / "out")
    assert (done.wrong, [note for note in done.notes if "under way" in note]) == ([], [])
    keyring = sealed.keyring()
    (new,) = keyring.held(pseudonym)
    keyring.close()
    change(sealed, f"DELETE FROM payloads WHERE key = '{new}'")
    assert {what for _, what in exported(sealed, tmp_path / "lost").wrong} == {
        "is not there, or not with these bytes"
    }


@pytest.mark.parametrize("is_erased", [True, False])
def test_a_range_begins_within_a_session_of_somebody_who_was_erased(
    sealed: Any, make: Any, run: Any, tmp_path: Path, is_erased: bool
) -> None:
    pseudonym = sealed.pseudonym(ZELDA.identity)

    async def scenario() -> bytes:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            data = {"api": "openai", "method": "POST", "path": "/v1/x", "caller": pseudonym}
            payloads = {"caller": caller_payload(ZELDA)}
            for session in ("ended", "s1"):
                await store.append(EntryDraft(Kind.REQUEST_RECEIVED, session, data, payloads, pseudonym))
            await store.append(make.ended("ended"), *[EntryDraft(Kind.SERVICE_STOPPED)] * 300)
            await store.append(replace(make.released("s1", b"hello"), subject=pseudonym), make.ended("s1"))
            if is_erased:
                await store.forgetting.erase(pseudonym, ORDER)
            released = (await store.entries("s1"))[1]
            return bytes.fromhex(json.loads(released.body)["payloads"]["body"]["digest"])

    digest = run(scenario())
    if not is_erased:
        change(sealed, f"DELETE FROM payloads WHERE {hex_of(sealed)} = '{digest.hex()}'")
    assert (verify(sealed) == []) is is_erased
    assert (exported(sealed, tmp_path / "whole").wrong == []) is is_erased
    assert (exported(sealed, tmp_path / "part", 257).wrong == []) is is_erased
    if is_erased:
        lines = (tmp_path / "part" / "tombstones.jsonl").read_text().splitlines()
        kinds = [json.loads(line)["kind"] for line in lines]
        assert kinds == ["record.erasure_ordered", "record.erased", "request.received"]
        forge(tmp_path / "part", lines)
        (found,) = verification.verify(tmp_path / "part").wrong
        assert found == ("tombstones.jsonl, entry 2", "is not an entry of the tree")
        # Without its end the erasure seems to be under way: whatever else is cut out passes for erased.
        told = (tmp_path / "whole" / "tombstones.jsonl").read_text().splitlines(keepends=True)
        left = "".join(line for line in told if json.loads(line)["kind"] != Kind.RECORD_ERASED)
        (tmp_path / "whole" / "tombstones.jsonl").write_text(left)
        (found,) = verification.verify(tmp_path / "whole").wrong
        assert found[1] == "is not in tombstones.jsonl, which has all of its kind"


@pytest.mark.parametrize("is_erased", [True, False])
def test_a_range_ends_before_the_erasure_of_somebody(
    sealed: Any, make: Any, run: Any, tmp_path: Path, is_erased: bool
) -> None:
    """What says that their payloads are gone lies beyond it, and goes along all the same."""
    pseudonym = sealed.pseudonym(ZELDA.identity)

    async def scenario() -> bytes:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", ZELDA)
            await store.append(*[EntryDraft(Kind.SERVICE_STOPPED)] * 300)
            if is_erased:
                await store.forgetting.erase(pseudonym, ORDER)
            return bytes.fromhex(
                json.loads((await store.entries("s1"))[1].body)["payloads"]["body"]["digest"]
            )

    digest = run(scenario())
    if not is_erased:
        change(sealed, f"DELETE FROM payloads WHERE {hex_of(sealed)} = '{digest.hex()}'")
    wrong = exported(sealed, tmp_path / "part", last=256).wrong
    assert [record for record, _ in wrong] == ([] if is_erased else ["payload body of entry 2"])


def forge(folder: Path, lines: list[str]) -> None:
    """The file says of another entry that it begins a session."""
    received = json.loads(lines[-1])
    lines[-1] = json.dumps({**received, "data": {**received["data"], "path": "/v1/y"}})
    (folder / "tombstones.jsonl").write_text("".join(line + "\n" for line in lines))


def lines_run(of: Callable[[], object]) -> int:
    """How many lines of the verifier it takes."""
    count = 0

    def traced(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        if frame.f_code.co_filename == forgotten.__file__:
            count += event == "line"
            return traced
        return None

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        of()
    finally:
        sys.settrace(before)
    return count


def tombstones(folder: Path, many: int) -> forgotten.Tombstones:
    """Of a record of which `many` batches were purged, of every second one entry for entry."""
    folder.mkdir()
    with (folder / "tombstones.jsonl").open("w") as file:
        for number in range(many):
            data = {
                "class": ("payloads", "entries")[number % 2],
                "first": 1 + number * 400,
                "last": 400 + number * 400,
                "but": ["kept"],
                "only": [],
                "entries": 400,
            }
            line = {"seq": 10_000_000 + number, "kind": "record.purged", "data": data}
            file.write(json.dumps(line) + "\n")
    return forgotten.Tombstones(folder)


def test_what_an_entry_costs_does_not_grow_with_the_tombstones(tmp_path: Path) -> None:
    def cost(found: forgotten.Tombstones, last: int) -> int:
        document = {"session": "s", "kind": "request.released", "data": {}}

        def asks() -> None:
            for sequence in range(1, last, last // 50):
                found.took_entry(sequence)
                found.says_taken(sequence, document)
                found.purged_payload(sequence, "body", document)

        return lines_run(asks)

    few, many = tombstones(tmp_path / "few", 10), tombstones(tmp_path / "many", 2_000)
    assert cost(many, 2_000 * 400) < 2 * cost(few, 10 * 400)


def test_what_a_purge_took_is_told_at_its_ends_and_in_between(tmp_path: Path) -> None:
    found = tombstones(tmp_path / "some", 4)
    plain = {"session": "s", "kind": "request.released", "data": {}}
    kept, standing = {**plain, "session": "kept"}, {**plain, "kind": "log.key_created"}
    taken = [n for n in (1, 400, 401, 800, 801, 1200, 1201, 1600, 1601) if found.says_taken(n, plain)]
    assert taken == [401, 800, 1201, 1600]
    assert [n for n in taken if found.says_taken(n, kept) or found.says_taken(n, standing)] == []
    assert [n for n in (400, 401, 1600, 1601) if found.took_entry(n)] == [401, 1600]
    gone = [n for n in (1, 400, 401, 1600, 1601) if found.purged_payload(n, "body", plain)]
    assert gone == [1, 400, 401, 1600]
    assert found.emptied() == 800
