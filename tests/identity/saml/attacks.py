"""What tests of attacks on SAML share: what an attacker would say, and what the provider says of a moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.identity.saml.conftest import CONSUMER, REQUEST, US
from tests.identity.saml_idp import Say, unsigned

from authz_service.identity.saml.assertion import Assertion

Take = Callable[..., Assertion]
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
DS = "http://www.w3.org/2000/09/xmldsig#"


def evil(say: Say, identifier: str = "_evil") -> Any:
    """What an attacker would like to have said."""
    return unsigned(say.but(id=identifier, subject="mallory@example.com").text())


MOMENT = float(int(time.time()))
GOOD = Say(audience=US, recipient=CONSUMER, in_response_to=REQUEST, now=MOMENT, ends=3000.0, confirmed=3000.0)
