"""The attacks that SAML is known for: nothing that the provider has not signed is ever believed."""

from __future__ import annotations

import base64
import copy
import gzip
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.identity.saml.conftest import CONSUMER, REQUEST, US
from tests.identity.saml_idp import ENTITY, Say, posted, response, sign, signer, unsigned

from authz_service.errors import Unauthenticated
from authz_service.identity.saml.assertion import Assertion, Expected, read_assertion
from authz_service.identity.saml.response import bare_assertion, decoded, in_response_to, signed_assertion
from authz_service.identity.saml.xml import read_message

Answer = Callable[..., bytes]
Take = Callable[..., Assertion]
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
DS = "http://www.w3.org/2000/09/xmldsig#"
XSW = list(range(1, 9))


def evil(say: Say, identifier: str = "_evil") -> Any:
    """What an attacker would like to have said."""
    return unsigned(say.but(id=identifier, subject="mallory@example.com").text())


def without_signature(element: Any) -> Any:
    bare = copy.deepcopy(element)
    bare.remove(bare.find(SIGNATURE))
    return bare


def wrapped(number: int, say: Say, identifier: str) -> bytes:
    """The eight ways of wrapping a good signature around something else, by their usual numbers."""
    if number <= 2:
        return _wrapped_response(number, say, identifier)
    good, bad = sign(say.text()), evil(say, identifier)
    root = etree.fromstring(response(destination=CONSUMER, in_response_to=REQUEST))
    signature = good.find(SIGNATURE)
    match number:
        case 3:
            root.extend([bad, good])
        case 4:
            bad.append(good)
            root.append(bad)
        case 5:
            bare = without_signature(good)
            bad.insert(1, signature)
            root.extend([bad, bare])
        case 6:
            bare = without_signature(good)
            bad.insert(1, signature)
            signature.append(bare)
            root.append(bad)
        case 7:
            extensions = etree.SubElement(root, "{urn:oasis:names:tc:SAML:2.0:protocol}Extensions")
            extensions.append(bad)
            root.append(good)
        case 8:
            bare = without_signature(good)
            bad.insert(1, signature)
            etree.SubElement(signature, f"{{{DS}}}Object").append(bare)
            root.append(bad)
    return bytes(etree.tostring(root))


def _wrapped_response(number: int, say: Say, identifier: str) -> bytes:
    """A response that is signed, within or beside one that is not."""
    good = etree.fromstring(
        response(sign(say.text()), destination=CONSUMER, in_response_to=REQUEST, by=signer())
    )
    outer = etree.fromstring(response(evil(say, identifier), destination=CONSUMER, in_response_to=REQUEST))
    outer.set("ID", "_outer")
    signature = good.find(SIGNATURE)
    bare = without_signature(good)
    outer.insert(1, signature)
    if number == 1:
        signature.append(bare)
    else:
        outer.insert(1, bare)
    return bytes(etree.tostring(outer))


@pytest.mark.parametrize("identifier", ["_evil", "_a1"])
@pytest.mark.parametrize("number", XSW)
def test_a_signature_that_is_wrapped_around_something_else_is_refused(
    number: int, identifier: str, say: Say, take: Take
) -> None:
    with pytest.raises(Unauthenticated):
        take(wrapped(number, say, identifier))


@pytest.mark.parametrize("number", XSW)
def test_a_batch_client_cannot_wrap_one_either(number: int, say: Say) -> None:
    document = etree.fromstring(wrapped(number, say, "_evil"))
    for element in document.iter("{urn:oasis:names:tc:SAML:2.0:assertion}Assertion"):
        alone = bytes(etree.tostring(element, with_tail=False))
        try:
            found = bare_assertion(alone, [signer().certificate])
        except Unauthenticated:
            continue
        assert b"mallory" not in etree.tostring(found)


def test_a_comment_that_would_end_a_name_early_is_refused(say: Say, answer: Answer, take: Take) -> None:
    # Signed without its comment, it would still be good: CVE-2017-11427.
    signed = answer(say.but(subject="alice@example.com.evil.example"))
    cut = signed.replace(b"alice@example.com.evil", b"alice@example.com<!---->.evil")
    with pytest.raises(Unauthenticated, match="a comment"):
        take(cut)


@pytest.mark.parametrize("inside", ["<![CDATA[x]]>", "<?x y?>", "<!-- x -->"])
def test_what_readers_differ_about_is_refused(inside: str, say: Say, take: Take, answer: Answer) -> None:
    with pytest.raises(Unauthenticated) as caught:
        take(answer(say).replace(b"</samlp:Response>", inside.encode() + b"</samlp:Response>"))
    assert caught.value.code == "saml_malformed"


def test_an_unsigned_assertion_is_refused(say: Say, answer: Answer, take: Take) -> None:
    with pytest.raises(Unauthenticated) as caught:
        take(answer(unsigned(say.text())))
    assert caught.value.code == "saml_unsigned"


def test_an_unsigned_assertion_within_a_signed_response_is_refused(
    say: Say, answer: Answer, take: Take
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        take(answer(unsigned(say.text()), by=signer()))
    assert caught.value.code == "saml_unsigned"


def test_an_unsigned_assertion_beside_a_signed_one_is_refused(say: Say, answer: Answer, take: Take) -> None:
    for both in ([evil(say), sign(say.text())], [sign(say.text()), evil(say)]):
        with pytest.raises(Unauthenticated, match="several assertions"):
            take(answer(*both))


def test_two_assertions_that_are_both_signed_are_refused(say: Say, answer: Answer, take: Take) -> None:
    with pytest.raises(Unauthenticated, match="several assertions"):
        take(answer(say, say.but(id="_a2")))


def test_an_assertion_of_the_attackers_schema_is_no_assertion(say: Say, answer: Answer, take: Take) -> None:
    with pytest.raises(Unauthenticated):
        take(answer(etree.fromstring('<x:Assertion xmlns:x="urn:x"/>'), say))


def test_the_attackers_key_in_the_message_counts_for_nothing(say: Say, answer: Answer, take: Take) -> None:
    with pytest.raises(Unauthenticated) as caught:
        take(answer(sign(say.text(), signer("mallory"))))
    assert caught.value.code == "saml_bad_signature"


def test_a_response_whose_own_signature_is_the_attackers_is_refused(
    say: Say, answer: Answer, take: Take
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        take(answer(say, by=signer("mallory")))
    assert caught.value.code == "saml_bad_signature"


def test_a_changed_assertion_is_refused(say: Say, answer: Answer, take: Take) -> None:
    for old, new in ((b"alice@", b"malic@"), (b">staff<", b">admin<"), (b"_a1", b"_a3")):
        with pytest.raises(Unauthenticated) as caught:
            take(answer(say).replace(old, new))
        assert caught.value.code in ("saml_bad_signature", "saml_malformed")


def test_a_signature_by_a_shared_secret_is_refused_with_the_public_key_as_secret(
    say: Say, answer: Answer, take: Take
) -> None:
    from signxml.algorithms import SignatureConstructionMethod
    from signxml.signer import XMLSigner

    maker = XMLSigner(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm="hmac-sha256",
        c14n_algorithm="http://www.w3.org/2001/10/xml-exc-c14n#",
    )
    secret = signer().pem.encode()
    signed = maker.sign(etree.fromstring(say.text()), key=secret, reference_uri="_a1", id_attribute="ID")
    with pytest.raises(Unauthenticated) as caught:
        take(answer(signed))
    assert caught.value.code == "saml_algorithm_refused"


@pytest.mark.parametrize(("algorithm", "digest"), [("rsa-sha1", "sha256"), ("rsa-sha256", "sha1")])
def test_sha1_is_refused(algorithm: str, digest: str, say: Say, answer: Answer, take: Take) -> None:
    with pytest.raises(Unauthenticated) as caught:
        take(answer(sign(say.text(), algorithm=algorithm, digest=digest)))
    assert caught.value.code == "saml_algorithm_refused"


def test_an_algorithm_that_is_renamed_after_signing_is_refused(say: Say, answer: Answer, take: Take) -> None:
    renamed = answer(say).replace(b"xmldsig-more#rsa-sha256", b"xmldsig-more#hmac-sha256")
    with pytest.raises(Unauthenticated) as caught:
        take(renamed)
    assert caught.value.code == "saml_algorithm_refused"


def test_a_provider_whose_certificate_has_expired_is_refused(say: Say, answer: Answer, take: Take) -> None:
    old = signer("old", days=-1)
    with pytest.raises(Unauthenticated) as caught:
        take(answer(sign(say.text(), old)), certificates=[old.certificate])
    assert caught.value.code == "saml_bad_signature"


@pytest.mark.parametrize(
    "c14n",
    [
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    ],
)
def test_other_canonicalizations_are_refused(c14n: str, say: Say, answer: Answer, take: Take) -> None:
    with pytest.raises(Unauthenticated, match=r"canonicalization|transforms"):
        take(answer(sign(say.text(), c14n=c14n)))


@pytest.mark.parametrize(
    "transform",
    [
        "http://www.w3.org/TR/1999/REC-xslt-19991116",
        "http://www.w3.org/TR/1999/REC-xpath-19991116",
        "http://www.w3.org/2000/09/xmldsig#base64",
    ],
)
def test_transforms_that_compute_are_refused(transform: str, say: Say, answer: Answer, take: Take) -> None:
    element = sign(say.text())
    transforms = element.find(f".//{{{DS}}}Transforms")
    etree.SubElement(transforms, f"{{{DS}}}Transform").set("Algorithm", transform)
    with pytest.raises(Unauthenticated, match="transforms other than"):
        take(answer(element))


@pytest.mark.parametrize("uri", ["", "#_r1", "#xpointer(id('_a1'))", "http://evil.example.com/x"])
def test_a_reference_to_something_else_is_refused(uri: str, say: Say, answer: Answer, take: Take) -> None:
    element = sign(say.text())
    element.find(f".//{{{DS}}}Reference").set("URI", uri)
    with pytest.raises(Unauthenticated, match="something else"):
        take(answer(element))


def test_two_references_are_refused(say: Say, answer: Answer, take: Take) -> None:
    element = sign(say.text())
    reference = element.find(f".//{{{DS}}}Reference")
    reference.getparent().append(copy.deepcopy(reference))
    with pytest.raises(Unauthenticated, match="something else"):
        take(answer(element))


def test_two_signatures_in_one_place_are_refused(say: Say, answer: Answer, take: Take) -> None:
    element = sign(say.text())
    element.insert(1, copy.deepcopy(element.find(SIGNATURE)))
    with pytest.raises(Unauthenticated):
        take(answer(element))


def test_an_encrypted_assertion_is_refused_by_name(answer: Answer, take: Take) -> None:
    sealed = etree.fromstring('<saml:EncryptedAssertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion"/>')
    with pytest.raises(Unauthenticated) as caught:
        take(answer(sealed))
    assert caught.value.code == "saml_encrypted"


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


def test_what_is_handed_out_is_a_tree_of_its_own_without_the_signature(say: Say, answer: Answer) -> None:
    root, _ = in_response_to(answer(say))
    assertion = root.find("{urn:oasis:names:tc:SAML:2.0:assertion}Assertion")
    found = signed_assertion(
        root, entity_id=ENTITY, destination=CONSUMER, certificates=[signer().certificate]
    )
    assert found is not assertion
    assert found.getparent() is None
    assert found.find(f".//{SIGNATURE}") is None


@pytest.mark.parametrize("place", ["Status", "Issuer", "Extensions"])
def test_a_signature_where_none_belongs_is_refused(place: str, say: Say, answer: Answer, take: Take) -> None:
    root = etree.fromstring(answer(say))
    other = sign(say.but(id="_b1").text()).find(SIGNATURE)
    element = root.find(f"{{*}}{place}")
    if element is None:
        element = etree.SubElement(root, f"{{urn:oasis:names:tc:SAML:2.0:protocol}}{place}")
    element.append(other)
    with pytest.raises(Unauthenticated):
        take(bytes(etree.tostring(root)))
    if place != "Issuer":  # which must be a text anyhow
        with pytest.raises(Unauthenticated, match="stands where none belongs"):
            take(bytes(etree.tostring(root)))


def test_a_signed_assertion_with_another_signature_in_it_is_no_batch_clients(say: Say) -> None:
    other = etree.tostring(sign(say.but(id="_b1").text()).find(SIGNATURE)).decode()
    inside = f"<saml:Advice>{other}</saml:Advice></saml:Assertion>"
    signed = sign(say.text().replace("</saml:Assertion>", inside))
    with pytest.raises(Unauthenticated, match="stands where none belongs"):
        bare_assertion(bytes(etree.tostring(signed)), [signer().certificate])


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


MOMENT = float(int(time.time()))
GOOD = Say(audience=US, recipient=CONSUMER, in_response_to=REQUEST, now=MOMENT, ends=3000.0, confirmed=3000.0)


@pytest.fixture(scope="module")
def good() -> bytes:
    return response(sign(GOOD.text()), destination=CONSUMER, in_response_to=REQUEST)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_whatever_is_changed_the_provider_is_believed_or_nobody(good: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(good) - 1))
    length = data.draw(st.integers(0, 20))
    piece = data.draw(
        st.sampled_from([b"", b"x", b"<", b'"', b"<!---->", b"&#97;", b" ", good[place : place + 40]])
    )
    changed = good[:place] + piece + good[place + length :]
    try:
        root, request = in_response_to(changed)
        signed = signed_assertion(
            root, entity_id=ENTITY, destination=CONSUMER, certificates=[signer().certificate]
        )
        found = read_assertion(signed, Expected(ENTITY, US, CONSUMER, request, MOMENT))
    except Unauthenticated:
        return
    assert (found.subject, found.attributes) == (GOOD.subject, GOOD.attributes)
