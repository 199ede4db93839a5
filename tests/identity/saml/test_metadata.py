"""A provider by its metadata: its keys and its address, or what is missing; kept while it is away."""

from __future__ import annotations

import asyncio
import datetime
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import etree
from tests.identity.saml_idp import ENTITY, SIGN_ON, Signer, metadata, sign, signer

from authz_service.config.identity_values import SamlProvider
from authz_service.errors import Misconfigured, Unavailable
from authz_service.identity.saml.metadata import IdpMetadata, read_metadata
from authz_service.identity.saml.providers import FRESH, PAUSE, STALE, MetadataSource


def read(document: bytes, by: Signer | None = None) -> IdpMetadata:
    return read_metadata(
        document, entity_id=ENTITY, signer=None if by is None else by.certificate, now=time.time()
    )


def until(days: int) -> str:
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    return f'validUntil="{moment.strftime("%Y-%m-%dT%H:%M:%SZ")}"'


def test_it_says_where_people_log_in_and_with_which_keys() -> None:
    found = read(metadata(signer(), signer("p256", bits=256)))
    assert (found.entity_id, found.sign_on, found.valid_until) == (ENTITY, SIGN_ON, None)
    assert len(found.certificates) == 2


def test_weak_keys_are_left_out_and_alone_they_are_nothing() -> None:
    weak = signer("weak", bits=1024)
    assert read(metadata(weak, signer())).certificates == (signer().certificate,)
    with pytest.raises(Misconfigured, match="strong enough"):
        read(metadata(weak))


def test_a_key_for_encryption_signs_nothing() -> None:
    with pytest.raises(Misconfigured, match="no certificate for signing"):
        read(metadata().replace(b'use="signing"', b'use="encryption"'))


def test_one_provider_of_several_is_found_by_its_name() -> None:
    one, two = metadata(), metadata(signer("two"), entity="https://two.example.com")
    bare = [document.split(b"-->\n")[1].replace(b"_m1", b"_m%d" % n) for n, document in enumerate((one, two))]
    start = b'<md:EntitiesDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata">'
    found = read(start + b"".join(bare) + b"</md:EntitiesDescriptor>")
    assert found.certificates == (signer().certificate,)


def test_whether_requests_must_be_signed_is_the_providers_word() -> None:
    for said, is_wanted in (("true", True), ("1", True), ("false", False)):
        found = read(metadata(more=f'WantAuthnRequestsSigned="{said}"'))
        assert found.wants_signed_requests is is_wanted
    assert not read(metadata()).wants_signed_requests


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (metadata(entity="https://other.example.com"), "another provider"),
        (metadata(sign_on="http://idp.example.com/sso"), "https URL"),
        (metadata().replace(b"HTTP-Redirect", b"SOAP"), "HTTP-Redirect"),
        (metadata().replace(b"SAML:2.0:protocol", b"SAML:1.1:protocol"), "SAML 2.0"),
        (metadata().replace(b"IDPSSODescriptor", b"SPSSODescriptor"), "no identity provider"),
        (metadata().replace(b" entityID", f" {until(-1)} entityID".encode()), "has passed"),
        (metadata().replace(b" entityID", b' validUntil="soon" entityID'), "no time"),
        (b'<!DOCTYPE x [<!ENTITY e "x">]>' + metadata().split(b"-->\n")[1], "document type"),
        (b"<html>", "well-formed"),
        (b"", "well-formed"),
        (metadata().decode().encode("utf-16"), "UTF-8"),
    ],
)
def test_metadata_that_cannot_be_used_says_why(document: bytes, message: str) -> None:
    with pytest.raises(Misconfigured, match=message):
        read(document)


def signed(by: Signer) -> bytes:
    text = metadata().split(b"-->\n")[1].decode()
    place = '<ds:Signature Id="placeholder"></ds:Signature>'
    element = sign(text.replace("<md:IDPSSODescriptor", f"{place}<md:IDPSSODescriptor", 1), by)
    return bytes(etree.tostring(element))


def test_signed_metadata_is_taken_from_its_signer_alone() -> None:
    federation = signer("federation")
    assert read(signed(federation), federation).sign_on == SIGN_ON
    for document in (signed(signer("mallory")), metadata(), signed(federation).replace(b"/sso", b"/ssx")):
        with pytest.raises(Misconfigured, match="not signed by the certificate"):
            read(document, federation)


class Server:
    """Serves `document`, or fails; counts."""

    def __init__(self) -> None:
        self.document, self.status, self.asked = metadata(), 200, 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        return httpx.Response(self.status, stream=httpx.ByteStream(self.document))


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def source(
    server: Server, clock: Callable[[], float], where: str = "https://idp.example.com/m"
) -> MetadataSource:
    client = httpx.AsyncClient(transport=httpx.MockTransport(server))
    return MetadataSource(SamlProvider("corp", ENTITY, where, "aud"), client, clock)


def test_metadata_is_read_anew_each_hour_and_kept_for_a_week_while_it_is_away() -> None:
    server, clock = Server(), Clock()

    async def scenario() -> None:
        asking = source(server, clock)
        for _ in range(3):
            await asking.current()
        assert server.asked == 1
        clock.now += FRESH + 1
        server.document = metadata(signer("next"))
        assert (await asking.current()).certificates == (signer("next").certificate,)
        server.status = 503
        clock.now += FRESH + 1
        for _ in range(3):  # one of them asks
            assert (await asking.current()).certificates == (signer("next").certificate,)
        assert server.asked == 3
        clock.now += STALE
        with pytest.raises(Unavailable):
            await asking.current()
        server.status = 200
        clock.now += PAUSE
        await asking.current()

    asyncio.run(scenario())


def test_bad_signatures_have_us_ask_once_in_half_a_minute() -> None:
    server, clock = Server(), Clock()

    async def scenario() -> None:
        asking = source(server, clock)
        known = await asking.current()
        assert [await asking.renewed(known) for _ in range(5)] == [None] * 5
        assert server.asked == 1
        clock.now += PAUSE
        assert [await asking.renewed(known) for _ in range(5)] == [None] * 5
        assert server.asked == 2
        server.document = metadata(signer("next"))
        clock.now += PAUSE
        newer = await asking.renewed(known)
        assert newer is not None
        assert newer.certificates == (signer("next").certificate,)
        assert await asking.renewed(known) == newer  # whoever comes late gets it too
        assert server.asked == 3

    asyncio.run(scenario())


@pytest.mark.parametrize("answer", [b"x" * 1_100_000, b"<html/>", b'{"a": 1}'])
def test_what_a_server_says_instead_is_no_metadata(answer: bytes) -> None:
    server, clock = Server(), Clock()
    server.document = answer
    with pytest.raises(Unavailable):
        asyncio.run(source(server, clock).current())


def test_metadata_counts_no_longer_than_it_says() -> None:
    server, clock = Server(), Clock()
    server.document = metadata().replace(b" entityID", f" {until(1)} entityID".encode())

    async def scenario() -> None:
        asking = source(server, clock)
        await asking.current()
        server.status = 500
        clock.now += 86_401
        with pytest.raises(Unavailable):
            await asking.current()

    asyncio.run(scenario())


def test_a_file_is_read_too_and_one_that_is_not_there_is_no_metadata(tmp_path: Path) -> None:
    (tmp_path / "corp.xml").write_bytes(metadata())
    server: Any = Server()
    found = asyncio.run(source(server, Clock(), str(tmp_path / "corp.xml")).current())
    assert found.sign_on == SIGN_ON
    with pytest.raises(Unavailable):
        asyncio.run(source(server, Clock(), str(tmp_path / "other.xml")).current())
