"""Which headers cross the gateway, in either direction: lists that the service and Envoy's file share."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

MODEL_HEADER: Final = "x-authz-model"
"""Set by the service alone; Envoy's routes match it, and no model sees it."""

SESSION_HEADER: Final = "x-authz-session"
"""On every answer: the id under which the exchange is on record."""

EDITED_HEADER: Final = "x-authz-edited"
"""`true` on the answer to a request that a reviewer has edited."""

RESPONDED_HEADER: Final = "x-authz-responded"
"""`true` on an answer that a reviewer has written in the place of the model."""

MARKS: Final = frozenset({EDITED_HEADER, RESPONDED_HEADER})
"""What stays on an answer that a reviewer had a part in, also where it is held anew."""

GATEWAY_PREFIX: Final = "x-authz-"
"""Headers that only the gateway may set; Envoy strips them before anything reads a request."""

SECRET_HEADERS: Final = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "x-api-key",
        "api-key",
        "cookie",
        "x-goog-api-key",
        "x-auth-token",
        "x-access-token",
        "x-amz-security-token",
        "x-forwarded-access-token",
        "x-forwarded-authorization",
        "x-csrf-token",
        "x-xsrf-token",
        "ocp-apim-subscription-key",
    }
)
"""Request headers that may hold a token. Envoy shows them to ext_authz only, and to no model."""

REQUEST_ALLOWED: Final = frozenset(
    {
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "idempotency-key",
        "openai-beta",
        "user-agent",
    }
)
"""What a model may see of a caller's request headers."""

ANSWER_ALLOWED: Final = frozenset(
    {
        "cache-control",
        "content-type",
        "openai-processing-ms",
        "openai-version",
        "request-id",
        "retry-after",
        "x-request-id",
    }
)
"""What a caller may see of a model's answer headers."""

ENVOY_OWNED: Final = frozenset(
    {"connection", "content-length", "host", "transfer-encoding", "x-forwarded-proto"}
)
"""Envoy frames and routes messages by these; a mutation of one is an error (no route without the last)."""


_FRAMING: Final = frozenset({"connection", "content-length", "transfer-encoding"})


MOST_REMEMBERED: Final = 128
"""Sets of header names: few kinds of callers and models send each its own, in its own order."""


@lru_cache(maxsize=MOST_REMEMBERED)
def to_remove(names: tuple[str, ...], allowed: frozenset[str]) -> tuple[str, ...]:
    """The names (in lower case, as Envoy sends them) that must be removed so that only `allowed` cross.

    Pseudo-headers and those that Envoy owns are left to Envoy; each other name comes once, in order.
    """
    removed = dict.fromkeys(names)
    return tuple(name for name in removed if name not in allowed and not _is_envoys(name))


@lru_cache(maxsize=MOST_REMEMBERED)
def left_to_envoy(names: tuple[str, ...]) -> frozenset[str]:
    """Those of an answer's header names that cross although they are on no list: nothing removes them.

    Pseudo-headers and those by which Envoy frames messages are not among them: their values are Envoy's.
    """
    return frozenset(name for name in names if _is_envoys(name) and not name.startswith(":")) - _FRAMING


def _is_envoys(name: str) -> bool:
    return name.startswith((":", "x-envoy-")) or name in ENVOY_OWNED
