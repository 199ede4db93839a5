"""What of the entries is told to receivers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from authz_service.audit.draft import Kind
from authz_service.core.notifications import event_of


@pytest.mark.parametrize(
    ("kind", "data", "event"),
    [
        (Kind.HOLD_APPROVED, {}, "hold.approved"),
        (Kind.HOLD_WITHDRAWN, {"state": "pending"}, "hold.withdrawn"),
        (Kind.HOLD_WITHDRAWN, {"state": "approved"}, ""),
        (Kind.GRANT_USED, {"number": 1, "uses": 2}, ""),
        (Kind.GRANT_USED, {"number": 2, "uses": 2}, "grant.used_up"),
    ],
)
def test_only_what_changes_something_for_people_is_told(
    kind: Kind, data: Mapping[str, object], event: str
) -> None:
    assert event_of(kind, data) == event
