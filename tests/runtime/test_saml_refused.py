"""What is refused on the way to a login by SAML, and what is on record of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.identity.saml_idp import (
    posted,
    response,
    sign,
    signer,
)
from tests.runtime.saml_desk import claims, config_of, desk_of, landing
from tests.runtime.saml_served import Run, record, served
from tests.store.places import Place


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
            assert 500 <= said["exp"] - said["iat"] <= 600
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


def test_while_the_store_is_away_nobody_gets_a_code(place: Place, run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        store = await place.open(patience=0.2)
        async with desk_of(config_of(tmp_path), store) as desk:
            begun = await desk.begin()
            await store.close()
            landed = landing(await desk.post(desk.say(begun), begun))
            assert landed["error"] == "temporarily_unavailable"

    run(scenario())
