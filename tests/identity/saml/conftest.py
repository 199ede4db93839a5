"""Answers to a login that has begun, and what comes of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.identity.saml_idp import ENTITY, Say, response, sign, signer

from authz_service.identity.saml.assertion import Assertion, Expected, read_assertion
from authz_service.identity.saml.response import in_response_to, signed_assertion

CONSUMER = "https://login.example.com/saml/corp/acs"
US = "https://login.example.com/saml/corp/metadata"
REQUEST = "_request"


@pytest.fixture
def say() -> Say:
    """A good assertion."""
    return Say(audience=US, recipient=CONSUMER, in_response_to=REQUEST, now=float(int(time.time())))


@pytest.fixture
def take() -> Callable[..., Assertion]:
    """What the service makes of a response; raises what it raises."""

    def taken(document: bytes, *, now: float | None = None, certificates: Any = None) -> Assertion:
        root, request = in_response_to(document)
        trusted = [signer().certificate] if certificates is None else certificates
        signed = signed_assertion(root, entity_id=ENTITY, destination=CONSUMER, certificates=trusted)
        moment = time.time() if now is None else now
        return read_assertion(signed, Expected(ENTITY, US, CONSUMER, request, moment))

    return taken


@pytest.fixture
def answer() -> Callable[..., bytes]:
    """A response with assertions: elements, or texts that are signed."""

    def made(*assertions: Any, **more: Any) -> bytes:
        elements = [sign(each.text()) if isinstance(each, Say) else each for each in assertions]
        return response(*elements, **{"destination": CONSUMER, "in_response_to": REQUEST, **more})

    return made
