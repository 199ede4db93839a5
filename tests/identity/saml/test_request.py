"""The state of a login is sealed in its request: only we open it, for its provider, for ten minutes."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from tests.identity.saml_idp import asked

from authz_service.errors import Unauthenticated
from authz_service.identity.saml.box import Box
from authz_service.identity.saml.request import LIFE, Login, opened, request_id, sign_on_url
from authz_service.identity.saml.tokens import Door, TokenSigner

NOW = 1_800_000_000.0
LOGIN = Login(Door.REVIEW, "127.0.0.1", 65_535, "state-1", bytes(range(32)), NOW + LIFE)
BOX = Box(b"s" * 32)


@pytest.mark.parametrize(
    "login", [LOGIN, replace(LOGIN, door=Door.GATEWAY, host="localhost", port=1, state="~" * 128)]
)
def test_what_was_sealed_is_opened_by_whoever_has_the_key(login: Login) -> None:
    identifier = request_id(BOX, "corp", login)
    assert re.fullmatch(r"_[A-Za-z0-9_-]{100,280}", identifier)  # an NCName, which an ID must be
    assert opened(Box(b"s" * 32), "corp", identifier, now=NOW) == login
    assert request_id(BOX, "corp", login) != identifier


def test_nobody_else_opens_or_makes_one() -> None:
    identifier = request_id(BOX, "corp", LOGIN)
    changed = identifier[:-3] + ("AAA" if identifier[-3:] != "AAA" else "BBB")
    code = "_" + BOX.seal("code corp", b"x" * 60)
    for box, provider, text in (
        (Box(b"t" * 32), "corp", identifier),
        (BOX, "other", identifier),
        (BOX, "corp", changed),
        (BOX, "corp", identifier[1:]),
        (BOX, "corp", code),
        (BOX, "corp", "_"),
        (BOX, "corp", "_%%%"),
        (BOX, "corp", "_é"),
        (BOX, "corp", ""),
    ):
        with pytest.raises(Unauthenticated) as caught:
            opened(box, provider, text, now=NOW)
        assert caught.value.code == "saml_unsolicited"


def test_a_sealed_text_is_opened_in_one_writing_alone() -> None:
    for length in range(20, 23):
        content = b"\xff" * length
        text = BOX.seal("code corp", content)
        while not set("-_") & set(text):
            text = BOX.seal("code corp", content)
        assert BOX.open("code corp", text) == content
        plain = text.replace("-", "+").replace("_", "/")
        loose = text[:-1] + chr(ord(text[-1]) + 1)  # with bits that no byte has
        for other in (plain, text + "=" * (-len(text) % 4 or 4), text + "\n", loose):
            assert BOX.open("code corp", other) is None, (text, other)


def test_after_ten_minutes_it_is_too_late() -> None:
    identifier = request_id(BOX, "corp", LOGIN)
    assert opened(BOX, "corp", identifier, now=NOW + LIFE - 1) == LOGIN
    with pytest.raises(Unauthenticated) as caught:
        opened(BOX, "corp", identifier, now=NOW + LIFE)
    assert caught.value.code == "saml_late"


@pytest.mark.parametrize(
    "sign_on", ["https://idp.example.com/sso", "https://idp.example.com/sso?tenant=a%26b"]
)
def test_the_browser_brings_a_request_that_says_where_to_answer(sign_on: str) -> None:
    consumer, us = "https://login.example.com/saml/corp/acs", "https://login.example.com/<&>"
    url = sign_on_url(sign_on, "_id", entity_id=us, consumer=consumer, now=NOW)
    assert url.startswith(sign_on)
    request = asked(url)
    assert (request.get("ID"), request.get("IssueInstant")) == ("_id", "2027-01-15T08:00:00Z")
    assert (request.get("Destination"), request.get("AssertionConsumerServiceURL")) == (sign_on, consumer)
    assert request.findtext("{*}Issuer") == us
    assert request.find("{*}NameIDPolicy") is None


def test_a_request_asks_for_a_new_login_where_a_person_is_needed() -> None:
    for is_anew, said in ((True, "true"), (False, None)):
        url = sign_on_url("https://x", "_id", entity_id="us", consumer="there", now=NOW, is_anew=is_anew)
        assert asked(url).get("ForceAuthn") == said
    assert [door for door in Door if door.needs_person] == [Door.REVIEW]


def test_a_request_asks_for_the_only_format_of_names_that_counts() -> None:
    url = sign_on_url("https://x", "_id", entity_id="us", consumer="there", now=NOW, name_format="urn:a")
    policy = asked(url).find("{*}NameIDPolicy")
    assert (policy.get("Format"), policy.get("AllowCreate")) == ("urn:a", "true")


def test_a_short_secret_is_none() -> None:
    for made in (Box, TokenSigner):
        with pytest.raises(ValueError, match="at least 32"):
            made(b"s" * 31)


def test_replicas_with_one_secret_sign_with_one_key_and_others_with_another() -> None:
    assert TokenSigner(b"s" * 32).key == TokenSigner(b"s" * 32).key
    assert TokenSigner(b"s" * 32).key.digest != TokenSigner(b"t" * 32).key.digest
