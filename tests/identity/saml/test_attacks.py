"""The attacks that SAML is known for: nothing that the provider has not signed is ever believed."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree
from tests.identity.saml.attacks import DS, GOOD, MOMENT, SIGNATURE, Take, evil
from tests.identity.saml.conftest import CONSUMER, REQUEST, US
from tests.identity.saml_idp import ENTITY, Say, response, sign, signer, unsigned

from authz_service.errors import Unauthenticated
from authz_service.identity.saml.assertion import Expected, read_assertion
from authz_service.identity.saml.response import bare_assertion, in_response_to, signed_assertion

Answer = Callable[..., bytes]


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
