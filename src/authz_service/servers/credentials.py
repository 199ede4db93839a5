"""Where a caller's token stands in a request: in one of the headers that SDKs put their key in."""

from __future__ import annotations

from collections.abc import Sequence

from authz_service.errors import Unauthenticated
from authz_service.servers.wire.ext_authz_pb2 import AttributeContext

Headers = Sequence[tuple[str, bytes]]
"""Lower-case names with the octets of their values, in the order of the wire, repeated ones too."""

KEY_HEADERS = ("x-api-key", "api-key")
"""Anthropic's and Azure's; the value is the token itself."""


READ = frozenset({"authorization", "upgrade", *KEY_HEADERS})
"""What Check reads of a request's headers."""


def request_headers(http: AttributeContext.HttpRequest) -> Headers:
    """The headers that Check reads, however Envoy was told to encode them."""
    listed = [
        (name, header.raw_value or header.value.encode())
        for header in http.header_map.headers
        if (name := header.key.lower()) in READ
    ]
    if http.headers:
        listed += [
            (name, http.headers[key].encode()) for key in http.headers if (name := key.lower()) in READ
        ]
    return listed


def token_in(headers: Headers) -> str:
    """The one token of a request; raises `Unauthenticated` for none, and for two that differ.

    Were one of several picked, whoever else reads the request could pick another.
    """
    found = {value.strip() for name, value in headers if name in KEY_HEADERS}
    found |= {_bearer(value.strip()) for name, value in headers if name == "authorization"}
    found.discard(b"")
    if not found:
        message = "no token: send one as the API key, or as `authorization: Bearer TOKEN`"
        raise Unauthenticated(message, code="missing_token")
    if len(found) > 1:
        raise Unauthenticated("the request carries two different credentials", code="ambiguous_credentials")
    return found.pop().decode("latin-1")


def has_credential(headers: Headers) -> bool:
    """Whether a request carries a token or key, good or not."""
    return any(name != "upgrade" and value.strip() for name, value in headers)


def _bearer(value: bytes) -> bytes:
    scheme, _, token = value.partition(b" ")
    if value and scheme.lower() != b"bearer":  # RFC 9110 11.1: schemes are case-insensitive
        message = "the authorization header is not of the scheme Bearer"
        raise Unauthenticated(message, code="unsupported_scheme")
    return token.strip()
