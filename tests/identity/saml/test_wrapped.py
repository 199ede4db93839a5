"""A signature that is wrapped around something else is refused, however it is moved."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from lxml import etree
from tests.identity.saml.attacks import DS, SIGNATURE, Take, evil
from tests.identity.saml.conftest import CONSUMER, REQUEST
from tests.identity.saml_idp import Say, response, sign, signer

from authz_service.errors import Unauthenticated
from authz_service.identity.saml.response import bare_assertion

XSW = list(range(1, 9))


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
