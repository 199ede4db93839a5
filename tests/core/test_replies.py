"""What a caller is told of an error of ours: the same request again is worth it only where that passes."""

from __future__ import annotations

import pytest

from authz_service.core.replies import refused
from authz_service.errors import AuthzError, Forbidden, TooMany, Unavailable


@pytest.mark.parametrize(
    ("error", "headers"),
    [
        (TooMany("wait", code="too_many_waiting"), {"x-should-retry": "true", "retry-after": "1"}),
        (Unavailable("full", code="overloaded"), {"x-should-retry": "true"}),
        (Unavailable("died", code="poisoned"), {"x-should-retry": "false"}),
        (Unavailable("altered", code="record_damaged"), {"x-should-retry": "false"}),
        (Forbidden("no"), {"x-should-retry": "false"}),
    ],
)
def test_sdks_are_told_to_try_again_what_passes_by_itself(error: AuthzError, headers: dict[str, str]) -> None:
    reply = refused(error, session="ses_1")
    assert reply.headers == headers
    assert (reply.error.status, reply.error.code) == (error.status, error.code)
