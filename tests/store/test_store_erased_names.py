"""Whoever is erased is named in clear by no table, and what withdraws their tokens goes on without a name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.servers.key_fakes import api_key
from tests.store.erased_names import ISSUER, ZELDA, asked, in_clear
from tests.store.forgetting import ORDER
from tests.store.forgotten import KEY, of, verify
from tests.store.outboxes import ALL
from tests.store.revoking import restore, revocation

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.commands.audit_export import Wanted, export
from authz_service.core.acts import ActDraft, ActKind
from authz_service.core.api_keys import ApiKey
from authz_service.core.entries import caller_payload
from authz_service.core.holds import Verdict
from authz_service.core.revocations import Revoked, RevokedBy
from authz_service.core.stored_holds import HoldLimits
from authz_service.core.used_once import once
from authz_service.errors import Conflict, Unauthenticated
from authz_service.identity.revoked import RevokedTokens
from authz_service.servers.review_keys import _made
from authz_service.servers.review_tokens import _entry
from authz_service.store.record_reader import reading
from authz_service.view.caller import Caller
from authz_verifier import verification

ALL_HERS = Revoked(ISSUER, RevokedBy.SUBJECT, "zelda-q7")
OLGA = Caller(ISSUER, "olga", 0.0)


def key(place: Any, key_id: str, **changes: Any) -> ApiKey:
    return api_key(key_id, **({"expires_at": place.clock.time + 600.0, "by": "zelda-q7"} | changes))


def test_no_table_names_in_clear_who_was_erased(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1")
            hold = (await store.open_hold(make.hold("s2", caller=make.caller("bob")), make.limits)).hold
            comment = ActDraft(hold.id, ActKind.COMMENT, ZELDA.identity, ZELDA.identity, "zelda-q7", "fine")
            await store.act(comment, HoldLimits())
            await store.vote(make.ballot(hold, "zelda-q7", Verdict.REJECT), HoldLimits())
            await store.append(make.ended("s2"))
            hers = key(sealed, "key_1", name="nightly of zelda-q7", owner="zelda-q7", groups=("zelda-q7",))
            made = await store.create_key(hers, _made(Kind.API_KEY_CREATED, hers, ZELDA))
            with pytest.raises(Conflict, match="key_1"):
                await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)
            ended = EntryDraft(
                Kind.API_KEY_REVOKED,
                data={"key": made.id},
                payloads={"operator": caller_payload(ZELDA), "reason": b'{"reason": "lost"}'},
                subjects={"operator": ZELDA.identity},
            )
            await store.revoke_key(made.id, ended)
            await store.revoke(revocation(ALL_HERS), _entry(Kind.TOKEN_REVOKED, revocation(ALL_HERS), ZELDA))
            assert in_clear(sealed, "zelda-q7")
            await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)
            (left,) = await store.api_keys()
            assert (left.name, left.owner, left.by, left.revoked_by) == ("key_1", "", "", "")

    run(scenario())
    assert in_clear(sealed, "zelda-q7") == []
    assert verify(sealed) == []


def is_refused(tokens: RevokedTokens, caller: Caller) -> bool:
    try:
        tokens.check(caller)
    except Unauthenticated:
        return True
    return False


@pytest.mark.parametrize("person", [None, "zelda-q7@example.com"])
def test_tokens_of_an_erased_person_stay_withdrawn_until_somebody_restores_them(
    sealed: Any, make: Any, run: Any, person: str | None
) -> None:
    zelda, other = replace(ZELDA, person=person), Caller(ISSUER, "zelda-q8", 0.0)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1", zelda)
            await store.revoke(revocation(ALL_HERS), _entry(Kind.TOKEN_REVOKED, revocation(ALL_HERS), OLGA))
            (found,) = await store.forgetting.people("zelda-q7")
            await store.forgetting.erase(found.pseudonym, ORDER)
            read = await store.revocations()
            tokens = RevokedTokens(sealed.clock, sealed.pseudonym)
            tokens.replace(read.items)
            assert (is_refused(tokens, zelda), is_refused(tokens, other)) == (True, False)
            (left,) = read.items
            assert (left.what.value, left.reason, left.name) == ("", "", "olga")
            assert left.pseudonym == sealed.pseudonym((ISSUER, "zelda-q7"))
            again = replace(ALL_HERS, value=left.pseudonym)
            assert await restore(store, again)
            assert not await restore(store, ALL_HERS)
            tokens.replace((await store.revocations()).items)
            assert not is_refused(tokens, zelda)

    run(scenario())
    assert verify(sealed) == []
    assert in_clear(sealed, "zelda-q7") == []


def test_an_erased_person_is_found_by_name_among_those_whose_tokens_are_restored(
    sealed: Any, make: Any, run: Any
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            await asked(sealed, make, store, "s1")
            await store.revoke(revocation(ALL_HERS), _entry(Kind.TOKEN_REVOKED, revocation(ALL_HERS), OLGA))
            await store.forgetting.erase(sealed.pseudonym(ZELDA.identity), ORDER)
            assert await restore(store, ALL_HERS)
            assert (await store.revocations()).items == ()

    run(scenario())
    assert verify(sealed) == []


def test_whoever_only_voted_can_be_named_and_erased(sealed: Any, make: Any, run: Any) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            hold = (await store.open_hold(make.hold("s2", caller=make.caller("bob")), make.limits)).hold
            await store.vote(make.ballot(hold, "zelda-q7", Verdict.REJECT), HoldLimits())
            await store.append(make.ended("s2"))
            (found,) = await store.forgetting.people("zelda-q7")
            assert (await store.forgetting.erase(found.pseudonym, ORDER)).votes == 1
            assert await store.forgetting.people("zelda-q7") == []

    run(scenario())
    assert in_clear(sealed, "zelda-q7") == []
    assert verify(sealed) == []


@pytest.mark.parametrize("by", ["zelda-q7@example.com", "Zelda-Q7@example.com", "pseudonym"])
def test_whoever_only_logged_in_can_be_named_by_person_or_pseudonym_and_erased(
    by: str, sealed: Any, run: Any
) -> None:
    zelda = replace(ZELDA, person="zelda-q7@example.com")
    pseudonym = sealed.pseudonym(zelda.identity)

    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            assert await store.forgetting.people(by) == []
            for kind, name in ((Kind.LOGIN_ACCEPTED, "one"), (Kind.LOGIN_COMPLETED, "two")):
                used = {"used": [once("assertion", name)], "until": int(sealed.clock.time) + 60}
                data: Any = {"provider": "corp", "door": "gateway", "caller": pseudonym, **used}
                told = EntryDraft(kind, None, data, {"caller": caller_payload(zelda)}, zelda.identity)
                await store.use_once(told)
            wanted = pseudonym if by == "pseudonym" else by
            (found,) = await store.forgetting.people(wanted)
            assert found.pseudonym == pseudonym
            await store.forgetting.erase(found.pseudonym, ORDER)
            assert await store.forgetting.people(wanted) == []

    run(scenario())
    assert in_clear(sealed, "zelda-q7") == []
    assert verify(sealed) == []


@pytest.mark.parametrize("who", ["olga", "alice"])
def test_who_had_a_notification_tried_again_is_gone_with_themselves_only(
    sealed: Any, make: Any, run: Any, tmp_path: Path, who: str
) -> None:
    async def scenario() -> None:
        async with sealed.store(signer=KEY, is_first_signer=True) as store:
            store.outbox.wanted = ALL
            draft = make.hold("s1")
            entries = tuple(of(sealed, entry, "alice") for entry in draft.entries)
            hold = (await store.open_hold(replace(draft, entries=entries), make.limits)).hold
            (first,) = await store.claim_notifications("chat", most=1, lease=60.0)
            entry = EntryDraft(
                Kind.NOTIFICATION_RETRIED,
                payloads={"operator": caller_payload(OLGA)},
                subjects={"operator": OLGA.identity},
            )
            await store.retry_notification(first.id, entry, tries=60.0)
            await store.vote(make.ballot(hold, verdict=Verdict.REJECT), make.limits)
            await store.append(make.ended("s1"))
            await store.forgetting.erase(sealed.pseudonym((ISSUER, who)), ORDER)
            (retried,) = [e for e in await store.entries("s1") if e.kind == Kind.NOTIFICATION_RETRIED]
            assert retried.data["operator"] == sealed.pseudonym(OLGA.identity)
            assert ("operator" in retried.payloads) == (who == "alice")
            assert ("operator" in retried.missing) == (who == "olga")

    run(scenario())
    assert verify(sealed) == []
    assert exported(sealed, tmp_path / "out") == []


def exported(place: Any, folder: Path) -> list[tuple[str, str]]:
    """What an export says by itself that is wrong."""
    keyring = place.keyring()
    try:
        with reading(place.url, keyring) as reader:
            export(reader, folder, Wanted([str(KEY.vkey)], 1, reader.largest()), lambda done, size: None)
    finally:
        keyring.close()
    return verification.verify(folder).wrong
