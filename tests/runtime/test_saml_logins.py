"""Logins by SAML from the command to its token, over real sockets and both databases."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from lxml import etree
from sqlalchemy import create_engine, select
from tests.identity.saml_idp import (
    EMAIL,
    PERSISTENT,
    Say,
    asked,
    is_signed,
    metadata,
    posted,
    response,
    sign,
    signer,
)
from tests.runtime.saml_desk import PROVIDER, SAML2, SECRET, SamlDesk, claims, config_of, desk_of, landing
from tests.store.conftest import Place

from authz_service.audit.entry import decode
from authz_service.errors import AuthzError, Unauthenticated
from authz_service.identity.saml.box import Box
from authz_service.identity.saml.own_metadata import Own, metadata_document
from authz_service.identity.saml.request import Login
from authz_service.identity.saml.request_signer import RequestSigner, new_signer
from authz_service.identity.saml.tokens import Door
from authz_service.runtime.saml_logins import AT_ONCE, SamlLogins, Trusted
from authz_service.store.schema import entries, payloads, used_once

Run = Callable[[Coroutine[Any, Any, None]], None]
SERVICE = {
    "groups": ("staff",),
    "mail": ("batch@example.com",),
    "scope": ("model:llama",),
    "owner": ("olga",),
}


@asynccontextmanager
async def served(place: Place, folder: Path, **more: Any) -> AsyncIterator[SamlDesk]:
    """One replica over the test's database."""
    place.clock.time = time.time()
    async with place.store() as store, desk_of(config_of(folder, **more), store) as desk:
        yield desk


def record(url: str) -> list[tuple[str, dict[str, Any]]]:
    """All entries about logins: kind and data."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            bodies = connection.execute(select(entries.c.body).order_by(entries.c.seq)).scalars().all()
            read = [decode(bytes(body)) for body in bodies]
            return [(entry.kind, dict(entry.data)) for entry in read if entry.kind.startswith("login.")]
    finally:
        engine.dispose()


def rows(url: str) -> int:
    """How many things are remembered as used."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return len(connection.execute(select(used_once)).all())
    finally:
        engine.dispose()


async def refusal(desk: SamlDesk, token: str, *, is_review: bool) -> str:
    """Why a door does not take a token."""
    verifier = desk.verifier()
    try:
        await (verifier.verify_review(token) if is_review else verifier.verify_gateway(token))
    except AuthzError as error:
        return error.code
    finally:
        await verifier.close()
    return ""


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
            assert 3590 <= said["exp"] - said["iat"] <= 3600
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
        async with asyncio.timeout(20):
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
            assert goes_on.wait(20)
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
                assert await asyncio.to_thread(started.acquire, timeout=20)
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


def test_an_assertion_is_good_once_on_whatever_replica(place: Place, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "two"
        folder.mkdir()
        place.clock.time = time.time()
        async with place.store() as one, desk_of(config_of(tmp_path), one) as desk:
            begun = await desk.begin()
            say = desk.say(begun)
            assert "code" in landing(await desk.post(say, begun))
            # A second listener with the same names, as a replica behind the same address has them.
            async with second_replica(place, desk) as other:
                again = landing(await other.post(say, begun))
                assert again["error"] == "access_denied"
                assert "used already" in again["error_description"]
                # Another assertion for the same login, too: one login, one answer.
                assert landing(await other.post(desk.say(begun), begun))["error"] == "access_denied"
            # And the same assertion for another login.
            later = await desk.begin()
            assert "error" in landing(await desk.post(say.but(in_response_to=later.request), later))
            codes = [data["code"] for kind, data in record(place.url) if kind == "login.refused"]
            assert codes + desk.counted == ["saml_replayed"] * 3

    run(scenario())


@asynccontextmanager
async def second_replica(place: Place, desk: SamlDesk) -> AsyncIterator[SamlDesk]:
    """On PostgreSQL over a connection of its own; SQLite serves one process."""
    if place.url.startswith("sqlite"):
        yield desk
        return
    from dataclasses import replace

    from tests.e2e.stack import free_port

    listener = replace(desk.listener, port=free_port())
    config = replace(desk.config, logins=replace(desk.config.logins, listener=listener))
    async with place.store(instance="two") as store, desk_of(config, store) as other:
        other.client = Redirected(desk.listener.port, listener.port)
        yield other
        await other.client.aclose()


class Redirected(httpx.AsyncClient):
    """Asks another port than the address says, as a proxy before two replicas does."""

    def __init__(self, said: int, meant: int) -> None:
        super().__init__(timeout=10)
        self._said, self._meant = f":{said}/", f":{meant}/"

    async def request(self, method: str, url: Any, **more: Any) -> httpx.Response:
        return await super().request(method, str(url).replace(self._said, self._meant), **more)


def test_of_eight_that_bring_an_assertion_at_once_one_gets_a_code(
    place: Place, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            begun = await desk.begin()
            say = desk.say(begun)
            answers = await asyncio.gather(*(desk.post(say, begun) for _ in range(8)))
            landed = [landing(answer) for answer in answers]
            assert [("code" in each) for each in landed].count(True) == 1

    run(scenario())


def test_a_refusal_that_is_had_again_and_again_is_one_entry_and_a_count(
    sqlite_url: str, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            old = desk.say(await desk.begin(), confirmed=-1.0)
            for _ in range(4):
                begun = await desk.begin()
                wrong = landing(await desk.post(old, begun))
                assert wrong["error"] == "access_denied"
            begun = await desk.begin()
            code = landing(await desk.post(desk.say(begun), begun))["code"]
            answers = [(await desk.exchange(code, begun)).status_code for _ in range(4)]
            assert answers == [200, 400, 400, 400]
            refused = [data["code"] for kind, data in record(sqlite_url) if kind == "login.refused"]
            assert refused == ["saml_wrong_request", "invalid_grant"]
            assert desk.counted == ["saml_wrong_request"] * 3 + ["invalid_grant"] * 2

    run(scenario())


def test_a_code_is_good_once_for_its_command_for_a_minute(place: Place, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            begun = await desk.begin()
            code = landing(await desk.post(desk.say(begun), begun))["code"]
            for changes in (
                {"code_verifier": "x" * 43},
                {"code_verifier": ""},
                {"client_id": "authz-gateway"},
                {"redirect_uri": "http://127.0.0.1:4712/callback"},
                {"code": code[:-2] + "AA"},
                {"code": ""},
            ):
                answer = await desk.exchange(changes.pop("code", code), begun, **changes)
                assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant"), changes
            desk.offset = 61.0
            assert (await desk.exchange(code, begun)).status_code == 400
            desk.offset = 0.0
            assert (await desk.exchange(code, begun)).status_code == 200
            again = await desk.exchange(code, begun)
            assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
            assert record(place.url)[-1] == (
                "login.refused",
                {"provider": "corp", "door": "review", "code": "invalid_grant"},
            )
            assert desk.counted == ["invalid_grant"] * 7

    run(scenario())


def test_a_code_is_good_once_however_it_is_written(sqlite_url: str, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            begun = await desk.begin()
            code = landing(await desk.post(desk.say(begun), begun))["code"]
            assert (await desk.exchange(code, begun)).status_code == 200
            other = code.replace("-", "+").replace("_", "/") + "=" * (-len(code) % 4)
            assert other != code
            answer = await desk.exchange(other, begun)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")

    run(scenario())


def test_what_is_signed_and_refused_is_on_record_by_name_and_the_command_hears_why(
    place: Place, run: Run, tmp_path: Path
) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"audience": "https://other.example.com"}, "saml_wrong_audience"),
        ({"confirmed": -1.0}, "saml_expired"),
        ({"begins": 60.0}, "saml_not_yet_valid"),
        ({"recipient": "https://other.example.com"}, "saml_wrong_recipient"),
        ({"format": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"}, "saml_transient_subject"),
        ({"attributes": {"groups": ("staff",)}}, "saml_malformed"),
        ({"attributes": {"groups": ("staff",), "mail": ("a@x.example", "b@x.example")}}, "saml_malformed"),
        ({"subject": "a" * 513}, "saml_malformed"),
    ]

    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            for changes, code in wrong:
                begun = await desk.begin()
                landed = landing(await desk.post(desk.say(begun, **changes), begun))
                assert (landed["error"], landed["state"]) == ("access_denied", "state-1")
                assert landed["iss"] == desk.issuer
                kind, data = record(place.url)[-1]
                assert (kind, data) == ("login.refused", {"provider": "corp", "door": "review", "code": code})
            assert desk.counted == []

    run(scenario())


def test_what_nobody_known_has_signed_is_counted_and_makes_no_entries(
    place: Place, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            acs, begun = f"{desk.issuer}/acs", await desk.begin()
            forged = response(
                sign(desk.say(begun).text(), signer("mallory")), destination=acs, in_response_to=begun.request
            )
            unasked = response(
                sign(desk.say(begun, in_response_to="_x").text()), destination=acs, in_response_to="_x"
            )
            answer = await desk.client.post(acs, data={"SAMLResponse": posted(forged)})
            assert landing(answer)["error"] == "access_denied"
            for text in (posted(unasked), "%%%", "", posted(b"<x/>"), posted(b"<!DOCTYPE x><x/>")):
                answer = await desk.client.post(acs, data={"SAMLResponse": text})
                assert answer.status_code == 401, text
                assert "text/html" in answer.headers["content-type"]
                assert answer.headers["connection"] == "close"
                assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert desk.counted[:2] == ["saml_bad_signature", "saml_unsolicited"]
            assert len(desk.counted) == 6
            assert record(place.url) == []

    run(scenario())


def test_relay_state_leads_nowhere_and_redirects_go_to_this_machine_only(
    place: Place, run: Run, tmp_path: Path
) -> None:
    bad = [
        "https://evil.example.com/callback",
        "http://127.0.0.1:4711@evil.example.com/callback",
        "http://127.0.0.1.evil.example.com:4711/callback",
        "http://127.0.0.1:4711/callback/../x",
        "http://127.0.0.1:4711/callback?x=y",
        "http://127.0.0.1:4711/callback#x",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:99999/callback",
        "http://[::1]:4711/callback",
        "http://127.0.0.1:4711\\@evil.example.com/callback",
        "javascript:alert(1)",
        "//evil.example.com/callback",
        "",
    ]

    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            begun = await desk.begin()
            more = {"RelayState": "https://evil.example.com/"}
            assert "evil" not in str(landing(await desk.post(desk.say(begun), begun, more=more)))
            for redirect in bad:
                answer = (await desk.begin(redirect_uri=redirect)).answer
                assert (answer.status_code, "location" in answer.headers) == (400, False), redirect

    run(scenario())


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "authz-other"},
        {"client_id": None},
        {"response_type": "token"},
        {"state": None},
        {"state": "x" * 129},
        {"state": "a\nb"},
        {"code_challenge": None},
        {"code_challenge": "x" * 42},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
    ],
)
def test_a_login_without_state_or_proof_key_does_not_begin(
    changes: dict[str, Any], sqlite_url: str, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            answer = (await desk.begin(**changes)).answer
            assert (answer.status_code, "invalid_request" in answer.text) == (400, True)

    run(scenario())


def test_a_login_that_took_too_long_is_refused(sqlite_url: str, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            begun = await desk.begin()
            desk.offset = 601.0
            answer = await desk.post(desk.say(begun), begun)
            assert (answer.status_code, desk.counted) == (401, ["saml_late"])

    run(scenario())


def test_bodies_that_are_large_compressed_or_of_another_kind_are_refused(
    sqlite_url: str, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            form = {"content-type": "application/x-www-form-urlencoded"}
            cases: list[tuple[bytes, dict[str, str], int]] = [
                (b"SAMLResponse=" + b"A" * (10 * 1024 * 1024), form, 413),
                (b"SAMLResponse=QQ==", {"content-type": "text/plain"}, 415),
                (b"x", form | {"content-encoding": "gzip"}, 415),
                (b"SAMLResponse=a&SAMLResponse=b", form, 400),
                (b"&".join(b"a%d=b" % n for n in range(60)), form, 400),
                ("SAMLResponse=é".encode(), form, 400),
            ]
            for path in ("acs", "token"):
                for body, headers, status in cases:
                    url = f"{desk.issuer}/{path}"
                    answer = await desk.client.post(url, content=body, headers=headers)
                    assert answer.status_code == status, (path, body[:40])
            assert (
                await desk.client.get(f"{desk.issuer}/acs", params={"SAMLResponse": "a"})
            ).status_code == 405

    run(scenario())


def test_a_token_ends_with_the_providers_session(sqlite_url: str, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            said = claims(await desk.log_in(session=600.0))
            assert 590 <= said["exp"] - said["iat"] <= 600
            begun = await desk.begin()
            code = landing(await desk.post(desk.say(begun, session=30.0), begun))["code"]
            desk.offset = 31.0
            answer = await desk.exchange(code, begun)
            assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")

    run(scenario())


def test_groups_that_the_provider_says_nothing_of_are_not_complete(
    sqlite_url: str, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            verifier = desk.verifier()
            token = await desk.log_in("gateway", attributes={"mail": ("a@example.com",)})
            caller = await verifier.verify_gateway(token)
            assert (caller.groups, caller.groups_complete) == ((), False)
            many = tuple(f"a-group-with-a-long-name-{number}" for number in range(500))
            begun = await desk.begin("gateway")
            say = desk.say(begun, attributes={"mail": ("a@example.com",), "groups": many})
            assert landing(await desk.post(say, begun))["error"] == "access_denied"
            assert record(sqlite_url)[-1][1]["code"] == "saml_too_many_groups"
            most = {"mail": ("a@example.com",), "groups": tuple(f"group-of-staff-{n:05}" for n in range(480))}
            caller = await verifier.verify_gateway(await desk.log_in("gateway", attributes=most))
            assert len(caller.groups) == 480
            await verifier.close()

    run(scenario())


async def granted(desk: SamlDesk, say: Say, **more: str) -> httpx.Response:
    """What a batch client does."""
    assertion = base64.urlsafe_b64encode(etree.tostring(sign(say.text()))).rstrip(b"=").decode()
    form = {"grant_type": SAML2, "assertion": assertion}
    return await desk.client.post(f"{desk.issuer}/token", data=form | more)


async def batch(desk: SamlDesk, **changes: Any) -> Say:
    """What a provider says of a batch client."""
    begun = await desk.begin()
    plain: dict[str, Any] = {
        "recipient": f"{desk.issuer}/token",
        "in_response_to": None,
        "attributes": SERVICE,
        "subject": "batch",
        "statement": False,
    }
    return desk.say(begun, **(plain | changes))


def test_a_batch_client_gets_a_gateways_token_of_a_service_account_for_an_assertion(
    place: Place, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(place, tmp_path) as desk:
            say = await batch(desk)
            answer = await granted(desk, say)
            assert answer.status_code == 200, answer.text
            told = answer.json()
            assert (told["token_type"], "refresh_token" in told) == ("Bearer", False)
            verifier = desk.verifier()
            caller = await verifier.verify_gateway(told["access_token"])
            await verifier.close()
            assert (caller.subject, caller.scope) == ("batch", ("model:llama",))
            assert caller.claims["owner"] == "olga"
            assert await refusal(desk, told["access_token"], is_review=True) == "wrong_audience"
            assert record(place.url)[-1][1]["door"] == "batch"
            again = await granted(desk, say)
            assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
            assert "saml_replayed" in again.json()["error_description"]

    run(scenario())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"in_response_to": "_login"}, "saml_wrong_request"),
        ({"recipient": "ACS"}, "saml_wrong_recipient"),
        ({"attributes": {k: v for k, v in SERVICE.items() if k != "owner"}}, "saml_malformed"),
        ({"confirmed": -1.0}, "saml_expired"),
    ],
)
def test_what_is_for_a_browser_or_has_no_owner_is_no_batch_clients(
    changes: dict[str, Any], code: str, sqlite_url: str, run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            changed = {k: f"{desk.issuer}/acs" if v == "ACS" else v for k, v in changes.items()}
            answer = await granted(desk, await batch(desk, **changed))
            assert (answer.status_code, code in answer.json()["error_description"]) == (400, True)
            assert record(sqlite_url)[-1][1] == {"provider": "corp", "door": "batch", "code": code}

    run(scenario())


def test_an_assertion_of_a_batch_client_opens_no_login(sqlite_url: str, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path) as desk:
            begun = await desk.begin()
            landed = landing(await desk.post(await batch(desk), begun))
            assert landed["error"] == "access_denied"

    run(scenario())


def test_without_batch_there_is_no_assertion_grant(sqlite_url: str, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with served(Place(sqlite_url), tmp_path, provider="person: mail") as desk:
            answer = await granted(desk, await batch(desk))
            assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")
            found = await desk.client.get(
                f"{desk.listener.url}/.well-known/oauth-authorization-server/saml/corp"
            )
            assert found.json()["grant_types_supported"] == ["authorization_code"]
            assert record(sqlite_url) == []

    run(scenario())


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


def test_while_the_store_is_away_nobody_gets_a_code(place: Place, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await place.open(patience=0.2)
        async with desk_of(config_of(tmp_path), store) as desk:
            begun = await desk.begin()
            await store.close()
            landed = landing(await desk.post(desk.say(begun), begun))
            assert landed["error"] == "temporarily_unavailable"

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
