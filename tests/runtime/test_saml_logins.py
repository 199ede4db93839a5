"""Logins by SAML from the command to its token, over real sockets and both databases."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from lxml import etree
from sqlalchemy import create_engine, select
from tests.identity.saml_idp import (
    EMAIL,
    PERSISTENT,
    asked,
    is_signed,
    metadata,
    posted,
    response,
    sign,
    signer,
)
from tests.runtime.saml_desk import PROVIDER, SAML2, SECRET, claims, config_of, landing
from tests.runtime.saml_served import Run, record, refusal, served
from tests.store.places import Place

from authz_service.errors import Unauthenticated
from authz_service.identity.saml.box import Box
from authz_service.identity.saml.own_metadata import Own, metadata_document
from authz_service.identity.saml.request import Login
from authz_service.identity.saml.request_signer import RequestSigner, new_signer
from authz_service.identity.saml.tokens import Door
from authz_service.runtime.saml_logins import AT_ONCE, SamlLogins, Trusted
from authz_service.store.schema import entries, payloads, used_once


def rows(url: str) -> int:
    """How many things are remembered as used."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return len(connection.execute(select(used_once)).all())
    finally:
        engine.dispose()


def test_a_login_ends_with_a_token_for_its_door_alone(place: Place, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            for door, is_review in (("review", True), ("gateway", False)):
                token = await desk.log_in(door)
                assert await refusal(desk, token, is_review=is_review) == ""
                assert await refusal(desk, token, is_review=not is_review) == "wrong_audience"
            said = claims(token)
            assert (said["iss"], said["sub"], said["aud"]) == (
                desk.issuer,
                "alice@example.com",
                "llm-gateway",
            )
            assert (said["groups"], said["person"]) == (["staff", "reviewers"], "Alice@Example.com")
            assert 3500 <= said["exp"] - said["iat"] <= 3600
            verifier = desk.verifier()
            caller = await verifier.verify_gateway(token)
            await verifier.close()
            assert caller.identity == ("person", "alice@example.com")
            assert (caller.groups, caller.groups_complete) == (("staff", "reviewers"), True)
            assert caller.scope is None
            assert desk.counted == []

    run(scenario())


def test_one_person_is_one_whatever_name_format_they_ask_for(
    sqlite_url: str, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path, provider="lifetime: 1h") as desk:
            begun = await desk.begin()
            policy = asked(begun.answer.headers["location"]).find("{*}NameIDPolicy")
            assert policy.get("Format") == PERSISTENT
            landed = landing(await desk.post(desk.say(begun, format=EMAIL), begun))
            assert landed["error"] == "access_denied"
            assert record(sqlite_url)[-1][1]["code"] == "saml_wrong_name_format"
            assert claims(await desk.log_in("review"))["sub"] == "alice@example.com"
        async with served(Place(sqlite_url), tmp_path, provider="subject: mail") as desk:
            begun = await desk.begin()
            assert asked(begun.answer.headers["location"]).find("{*}NameIDPolicy") is None
            names = [claims(await desk.log_in("review", format=each))["sub"] for each in (EMAIL, PERSISTENT)]
            assert names == ["Alice@Example.com"] * 2

    run(scenario())


def test_who_votes_logs_in_for_it_and_not_by_an_earlier_login(place: Place, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            for door, forced in (("review", "true"), ("gateway", None)):
                begun = await desk.begin(door)
                assert asked(begun.answer.headers["location"]).get("ForceAuthn") == forced
            begun = await desk.begin("review")
            landed = landing(await desk.post(desk.say(begun, logged_in=-60.0), begun))
            assert landed["error"] == "access_denied"
            assert record(place.url)[-1][1]["code"] == "saml_old_login"
            assert await desk.log_in("review", logged_in=-8.0)  # clocks differ
            assert await desk.log_in("gateway", logged_in=-3600.0)

    run(scenario())


def test_while_a_provider_says_nothing_others_log_in(run: Run) -> None:
    nothing = cast("Any", None)

    async def scenario() -> None:
        asked_for, answered = asyncio.Semaphore(0), asyncio.Event()

        class Slow:
            async def current(self) -> Any:
                return SimpleNamespace(certificates=())

            async def renewed(self, _known: Any) -> Any:
                asked_for.release()
                await answered.wait()

        def bad(_certificates: Any) -> Any:
            raise Unauthenticated("no", code="saml_bad_signature")

        trusted = Trusted(nothing, nothing, cast("Any", Slow()))
        logins = SamlLogins(nothing, {}, nothing, nothing, lambda _peer, _code: None, nothing, nothing)
        waiting = [asyncio.create_task(logins.verified(trusted, bad, peer="")) for _ in range(AT_ONCE)]
        async with asyncio.timeout(60):
            for _ in waiting:
                await asked_for.acquire()
            assert await logins.verified(trusted, lambda _: nothing, peer="") is None
            answered.set()
            found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(each) for each in found] == [Unauthenticated] * AT_ONCE

    run(scenario())


def test_requests_are_signed_beside_the_event_loop_and_a_few_at_once(run: Run, tmp_path: Path) -> None:
    nothing = cast("Any", None)
    started, goes_on = threading.Semaphore(0), threading.Event()

    class Slow:
        def signed(self, query: str) -> str:
            started.release()
            assert goes_on.wait(60)
            return query + "&Signature=x"

    class Source:
        async def current(self) -> Any:
            return SimpleNamespace(sign_on="https://idp.example/sso", wants_signed_requests=True)

    async def scenario() -> None:
        config = config_of(tmp_path)
        (settings,), listener = config.identity.saml, config.logins.listener
        assert listener is not None
        trusted = Trusted(settings, Own.of(settings, listener), cast("Any", Source()))
        signer = cast("Any", Slow())
        logins = SamlLogins(config, {"corp": trusted}, Box(SECRET), nothing, nothing, nothing, signer)
        login = Login(Door.REVIEW, "127.0.0.1", 4711, "state", bytes(32), time.time() + 60)
        begun = [asyncio.create_task(logins.begin("corp", login)) for _ in range(AT_ONCE + 1)]
        try:
            for _ in range(AT_ONCE):
                assert await asyncio.to_thread(started.acquire, timeout=60)
            assert logins.reading.locked()
            assert not started.acquire(blocking=False)
        finally:
            goes_on.set()
        assert all("Signature=" in url for url in await asyncio.gather(*begun))

    run(scenario())


def test_the_command_finds_everything_by_the_issuers_metadata(place: Place, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            base = desk.listener.url
            found = (await desk.client.get(f"{base}/.well-known/oauth-authorization-server/saml/corp")).json()
            assert found["issuer"] == f"{base}/saml/corp" == desk.issuer
            assert found["authorization_endpoint"] == f"{base}/saml/corp/authorize"
            assert SAML2 in found["grant_types_supported"]
            own = etree.fromstring((await desk.client.get(f"{desk.issuer}/metadata")).content)
            assert own.get("entityID") == f"{desk.issuer}/metadata"
            (consumer,) = own.iter("{*}AssertionConsumerService")
            assert consumer.get("Location") == f"{desk.issuer}/acs"
            for path in ("/saml/other/metadata", "/saml/corp/x", "/", "/saml/other/authorize"):
                assert (await desk.client.get(base + path)).status_code in (400, 404), path
            request = asked((await desk.begin()).answer.headers["location"])
            assert request.get("AssertionConsumerServiceURL") == f"{desk.issuer}/acs"
            assert request.findtext("{*}Issuer") == f"{desk.issuer}/metadata"

    run(scenario())


def test_each_login_is_on_record_before_its_token_and_without_names_in_the_entry(
    place: Place, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            token = await desk.log_in("gateway")
            (accepted, first), (completed, second) = record(place.url)
            assert (accepted, completed) == ("login.accepted", "login.completed")
            assert (first["provider"], first["door"]) == ("corp", "gateway")
            assert first["caller"] == second["caller"]
            assert second["jti"] == claims(token)["jti"]
            assert "alice" not in str((first, second)).lower()
            assert len(first["used"]) == 2
            assert rows(place.url) == 3

    run(scenario())
    engine = create_engine(place.url)
    with engine.connect() as connection:
        kept = b"".join(bytes(row.body) for row in connection.execute(select(payloads)))
        bodies = b"".join(map(bytes, connection.execute(select(entries.c.body)).scalars()))
    engine.dispose()
    assert b"alice@example.com" in kept
    for secret in (b"Assertion", b"eyJ", b"PHNhbW"):
        assert secret not in kept + bodies


def test_a_key_that_the_provider_took_since_is_found(sqlite_url: str, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path, provider=PROVIDER) as desk:
            await desk.log_in()
            (tmp_path / "corp.xml").write_bytes(metadata(signer("next")))
            begun = await desk.begin()
            acs = f"{desk.issuer}/acs"
            document = response(
                sign(desk.say(begun).text(), signer("next")), destination=acs, in_response_to=begun.request
            )
            desk.offset = 31.0
            landed = landing(await desk.client.post(acs, data={"SAMLResponse": posted(document)}))
            assert "code" in landed, landed
            # And the old one is good no longer.
            later = await desk.begin()
            assert "error" in landing(await desk.post(desk.say(later), later))

    run(scenario())


@pytest.mark.parametrize(
    ("provider", "wants", "is_signed_then"),
    [("sign_requests: true", "", True), ("lifetime: 1h", "true", True), ("lifetime: 1h", "false", False)],
)
def test_requests_are_signed_where_we_are_told_to_or_the_provider_insists(
    sqlite_url: str, run: Run, tmp_path: Path, provider: str, wants: str, is_signed_then: bool
) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path, provider=provider) as desk:
            more = f'WantAuthnRequestsSigned="{wants}"' if wants else ""
            # A sign-on address with a query of its own: that is not signed.
            (tmp_path / "corp.xml").write_bytes(
                metadata(sign_on="https://idp.example.com/sso?a=b", more=more)
            )
            us = (await desk.client.get(f"{desk.issuer}/metadata")).content
            descriptor = etree.fromstring(us).find("{*}SPSSODescriptor")
            assert descriptor.get("AuthnRequestsSigned") == ("true" if "sign" in provider else "false")
            where = (await desk.begin()).answer.headers["location"]
            assert is_signed(where, us) is is_signed_then
            assert not is_signed(where.replace("SAMLRequest=", "SAMLRequest=a", 1), us)
            other = metadata_document(
                Own(desk.issuer), RequestSigner.of(new_signer(datetime.now(UTC))), signs=True
            )
            assert not is_signed(where, other)
            begun = await desk.begin()
            assert "code" in landing(await desk.post(desk.say(begun), begun))

    run(scenario())
