"""What is damaged keeps neither the service, nor an erasure that it is no part of, from going on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs
from tests.servers.key_fakes import revoked
from tests.store.damaged_holds import change, code_of, opened
from tests.store.damaged_rows import put
from tests.store.erased_names import ZELDA, asked
from tests.store.erasures_cut_off import ALICE, cut_off
from tests.store.forgetting import ORDER, commented, rows
from tests.store.forgotten import KEY, of, verify
from tests.store.grants_forgotten import granted
from tests.store.test_store_api_keys import key, make_key

from authz_service.core.holds import Approval, Stage, Verdict
from authz_service.core.ports import DAMAGED
from authz_service.errors import Conflict, Unavailable
from authz_service.store.column_texts import identity_text
from authz_service.store.erasures import LATE_SECONDS
from authz_service.store.purging import delete_payloads
from authz_service.view.caller import Caller


@pytest.mark.parametrize("voter", ["5", "null", '["issuer", 5]'])
def test_an_erasure_of_whose_vote_is_damaged_is_left_until_it_can_be_read(
    sealed: Any, make: Any, run: Any, monkeypatch: pytest.MonkeyPatch, voter: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            hold = (await store.open_hold(make.hold("h", caller=make.caller("zed")), make.limits)).hold
            await store.vote(make.ballot(hold, "alice", Verdict.REJECT), make.limits)
            await store.append(make.ended("h"))
            await asked(sealed, make, store, "s1", ALICE)
            await cut_off(sealed, store, monkeypatch)
            become = "UPDATE votes SET voter = :voter WHERE hold = :id"
            change(sealed, become, id=hold.id, voter=voter)
            sealed.clock.time += LATE_SECONDS + 1
            with capture_logs() as logs:
                assert await store.forgetting.complete_erasures() == 0
                assert await store.forgetting.resume_erasures() == 0
            assert [line["event"] for line in logs] == ["record.erasure_failed"] * 2
            change(sealed, become, id=hold.id, voter=identity_text(ALICE.identity))
            assert await store.forgetting.complete_erasures() == 1

    run(scenario())


@pytest.mark.parametrize("damage", ["detail = '{'", "identity = '5'"])
def test_who_has_no_part_in_a_damaged_hold_is_erased_and_who_has_one_by_the_entries_is_not(
    sealed: Any, make: Any, run: Any, damage: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", ZELDA)
            hold = await opened(store, make)
            await store.vote(make.ballot(hold, "rita", Verdict.APPROVE), make.limits)
            await store.append(make.ended(hold.session))
            change(sealed, f"UPDATE holds SET {damage} WHERE id = :id", id=hold.id)
            for name in (hold.caller.identity, make.ballot(hold, "rita", Verdict.APPROVE).voter):
                with pytest.raises(Conflict, match=hold.id) as refused:
                    await store.forgetting.erase(sealed.pseudonym(name), ORDER)
                assert refused.value.code == "still_held"
            erased = await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)
            assert erased.sessions == 1

    run(scenario())


def test_nobody_is_erased_beside_a_damaged_hold_that_no_entry_tells_of(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", ZELDA)
            hold = await opened(store, make)
            change(sealed, "UPDATE holds SET detail = '{', session = 'hers' WHERE id = :id", id=hold.id)
            assert await code_of(store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)) == DAMAGED

    run(scenario())


BODY = "UPDATE entries SET body = :body WHERE seq = :seq"
RITA = ("https://issuer.example", "rita")
SPOILS = {
    "votes": "UPDATE votes SET {column} = '{value}' WHERE hold = :id",
    "hold_acts": "UPDATE hold_acts SET {column} = '{value}' WHERE hold = :id",
}


async def said_by_rita(place: Any, make: Any, store: Any, *, account: Any = None) -> Any:
    """She comments on, and rejects, what zed asked; Zelda asked something too."""
    await asked(place, make, store, "hers", ZELDA)
    hold = (await store.open_hold(make.hold("h", caller=make.caller("zed")), make.limits)).hold
    await store.act(commented(hold.id, "rita"), make.limits)
    await store.vote(make.ballot(hold, "rita", Verdict.REJECT, account=account), make.limits)
    await store.append(make.ended("h"))
    return hold


@pytest.mark.parametrize("column", ["voter", "account"])
@pytest.mark.parametrize("value", ["5", "{", '["issuer"]'])
@pytest.mark.parametrize("table", SPOILS)
def test_what_somebody_said_and_cannot_be_read_keeps_only_them_from_being_erased(
    sealed: Any, make: Any, run: Any, table: str, value: str, column: str
) -> None:
    async def scenario() -> int:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            account = ("https://other.example", "rita-7")
            hold = await said_by_rita(sealed, make, store, account=account if table == "votes" else None)
            ((seq,),) = rows(sealed, f"SELECT seq FROM {table}")
            change(sealed, SPOILS[table].format(column=column, value=value), id=hold.id)
            erased = await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)
            assert (erased.sessions, erased.damaged) == (1, (f"who said what entry {seq} has",))
            # By the payload of the entry its account is hers too.
            for theirs in (RITA, account) if table == "votes" else (RITA,):
                assert await code_of(store.forgetting.erase(sealed.pseudonym(theirs), ORDER)) == DAMAGED
            assert [p.pseudonym for p in await store.forgetting.people("rita")] == [sealed.pseudonym(RITA)]
            return int(seq)

    seq = run(scenario())
    said = "vote" if table == "votes" else "act"
    assert [line.split(":")[0] for line in verify(sealed)] == [f"{said} of entry {seq}"]


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE entries SET body = X'7b' WHERE seq = :id",
        "UPDATE entries SET body = (SELECT body FROM entries WHERE seq = 1) WHERE seq = :id",
        "UPDATE votes SET seq = 1 WHERE seq = :id",  # that somebody asked
        "UPDATE votes SET hold = 'another' WHERE seq = :id",
    ],
)
def test_what_nobody_said_by_the_entries_either_keeps_everybody_from_being_erased(
    sqlite_url: str, make: Any, run: Any, spoil: str
) -> None:
    place = make.place(sqlite_url)

    async def scenario() -> None:
        async with place.store(signer=KEY, is_first_signer=True) as store:
            hold = await said_by_rita(place, make, store)
            ((seq,),) = rows(place, "SELECT seq FROM votes")
            change(place, SPOILS["votes"].format(column="voter", value="5"), id=hold.id)
            change(place, spoil, id=seq)
            assert await code_of(store.forgetting.erase(place.pseudonym(ZELDA.identity), ORDER)) == DAMAGED

    run(scenario())


def test_a_damaged_vote_for_a_grant_in_force_keeps_only_them_from_being_erased(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", ZELDA)
            grant = await granted(sealed, make, store)
            change(sealed, "UPDATE grant_acts SET voter = '5' WHERE grant_id = :id", id=grant.id)
            erased = await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)
            assert (erased.sessions, len(erased.damaged)) == (1, 1)
            assert await code_of(store.forgetting.erase(sealed.pseudonym(RITA), ORDER)) == DAMAGED

    run(scenario())


@pytest.mark.parametrize("is_erased_first", [False, True])
def test_a_session_that_cannot_be_read_is_of_whom_its_entry_names(
    sealed: Any, make: Any, run: Any, is_erased_first: bool
) -> None:
    """Both are called alike, at two issuers."""
    other = Caller("https://other.example", ZELDA.subject, 0.0)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", ZELDA)
            await asked(sealed, make, store, "another's", other)
            change(sealed, "UPDATE sessions SET caller_detail = '{' WHERE id = :id", id="another's")
            who = other if is_erased_first else ZELDA
            assert (await store.forgetting.erase(sealed.pseudonym(who.identity), ORDER)).sessions == 1

    run(scenario())


def test_a_damaged_entry_of_what_they_asked_is_passed_over_and_its_hold_goes_all_the_same(
    sealed: Any, make: Any, run: Any
) -> None:
    alice = sealed.pseudonym(ALICE.identity)

    async def scenario() -> int:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            draft = make.hold("hers", caller=make.caller("alice"))
            drafts = tuple(of(sealed, entry, "alice") for entry in draft.entries)
            hold = (await store.open_hold(replace(draft, entries=drafts), make.limits)).hold
            await store.vote(make.ballot(hold, "rita", Verdict.REJECT), make.limits)
            await store.append(make.ended("hers"))
            ((seq,),) = rows(sealed, "SELECT seq FROM holds")
            change(sealed, "UPDATE entries SET leaf = body WHERE seq = :id", id=seq)
            erased = await store.forgetting.erase(alice, ORDER)
            assert (erased.sessions, erased.damaged) == (1, (f"entry {seq}",))
            assert rows(sealed, "SELECT id FROM holds") == []
            assert store._keyring.held(alice) == []
            assert await store.forgetting.resume_erasures() == 0
            return int(seq)

    seq = run(scenario())
    said = {line.split(": ")[0] for line in verify(sealed)}
    assert f"entry {seq}" in said


def test_nobody_is_said_to_be_erased_while_an_entry_hides_what_lies_in_clear(
    sqlite_url: str, make: Any, run: Any
) -> None:
    place = make.place(sqlite_url)

    async def scenario() -> None:
        async with place.store(signer=KEY, is_first_signer=True) as store:
            await asked(place, make, store, "hers", ZELDA)
            change(place, "UPDATE entries SET body = X'7b' WHERE seq = 2 AND session = :id", id="hers")
            assert await code_of(store.forgetting.erase(place.pseudonym(ZELDA.identity), ORDER)) == DAMAGED

    run(scenario())


def test_more_payloads_can_be_taken_at_once_than_a_statement_has_parameters(sealed: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store() as store:
            digests = [number.to_bytes(32, "big") for number in range(70_000)]
            assert await store.change(lambda transaction: delete_payloads(transaction, digests)) == 0

    run(scenario())


@pytest.mark.parametrize("is_readable", [True, False])
@pytest.mark.parametrize("whose", ["requester", "voter"])
def test_an_altered_entry_of_a_damaged_hold_tells_nobody_who_has_no_part_in_it(
    sealed: Any, make: Any, run: Any, whose: str, is_readable: bool
) -> None:
    """Whoever has one would be erased under the name that somebody put there, while it waits."""

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", ZELDA)
            two = Approval("two", (Stage("true", 2, 600.0),))
            hold = await opened(store, make, "the request", two)
            ballot = make.ballot(hold, "rita", Verdict.APPROVE)
            await store.vote(ballot, make.limits)
            await store.append(make.ended(hold.session))
            table = "holds" if whose == "requester" else "votes"
            ((seq, body),) = rows(
                sealed, f"SELECT e.seq, e.body FROM entries e JOIN {table} t ON t.seq = e.seq"
            )
            who = hold.caller.identity if whose == "requester" else ballot.voter
            theirs = sealed.pseudonym(who).encode()
            assert theirs in bytes(body)
            put(sealed, BODY, body=bytes(body).replace(theirs, b"f" * 16) if is_readable else b"{", seq=seq)
            change(sealed, "UPDATE holds SET identity = '5' WHERE id = :id", id=hold.id)
            for name in (who, ZELDA.identity):
                assert await code_of(store.forgetting.erase(sealed.pseudonym(name), ORDER)) == DAMAGED

    run(scenario())


ROW = "UPDATE api_keys SET {} WHERE id = 'key_1'"
ENTRY = "UPDATE entries SET body = :body WHERE seq = (SELECT {} FROM api_keys WHERE id = 'key_1')"


@pytest.mark.parametrize("owner", ["bob", "zelda-q7"])
@pytest.mark.parametrize(
    "damage",
    [
        ROW.format("made = 1"),
        ROW.format("made = 1, seq = 2"),
        ROW.format("ended = 1"),
        ENTRY.format("ended"),
        None,
    ],
)
def test_a_damaged_api_key_keeps_only_its_owner_from_being_erased(
    sealed: Any, make: Any, run: Any, damage: str | None, owner: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", ZELDA)
            wanted = key(sealed, "key_1", owner=owner)
            await make_key(store, wanted)
            if damage is None or "made" in damage:  # by the entry that made it, in force
                code = "key_in_force"
            else:
                await store.revoke_key("key_1", revoked("key_1"))
                code = ""
            if damage is not None:
                put(sealed, damage, **({"body": b"{"} if ":body" in damage else {}))
            erasing = store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)
            if owner == "bob" or not code:
                assert (await erasing).sessions == 1
                return
            with pytest.raises(Conflict) as refused:
                await erasing
            assert refused.value.code == code

    run(scenario())


@pytest.mark.parametrize("damage", [ENTRY.format("made"), "DELETE FROM entries WHERE seq > 3"])
def test_an_api_key_that_is_nobodys_by_the_record_keeps_everybody_from_being_erased(
    sealed: Any, make: Any, run: Any, damage: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "hers", ZELDA)
            await make_key(store, key(sealed, "key_1", owner="bob"))
            put(sealed, damage, **({"body": b"{"} if ":body" in damage else {}))
            with pytest.raises(Unavailable, match=r"key_1.*authz audit verify") as refused:
                await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)
            assert refused.value.code == DAMAGED

    run(scenario())
