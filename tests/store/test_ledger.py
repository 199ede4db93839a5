"""The entries of one transaction are dated no earlier than the last one, and recorded all or none."""

from __future__ import annotations

from typing import Any

import pytest

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.audit.merkle import EMPTY_ROOT
from authz_service.store.database import HeadRow
from authz_service.store.heads import Heads
from authz_service.store.ledger import Ledger


def ledger(*, now: int = 10, last_at: int = 0) -> Ledger:
    return Ledger(HeadRow(0, b"", EMPTY_ROOT, last_at, now), now=now, instance="one", heads=Heads(None))


def test_a_transaction_is_not_dated_before_the_last_entry() -> None:
    assert ledger(now=10, last_at=20).now == 20
    assert ledger(now=30, last_at=20).now == 30


def test_when_one_entry_cannot_be_recorded_none_of_its_call_is(make: Any) -> None:
    new = ledger()
    with pytest.raises(ValueError, match="entry"):
        new.record([make.received("s1"), EntryDraft(Kind.REQUEST_RECEIVED, None, {"x": 2**60})])
    assert new.recorded == 0
    assert new.record([make.received("s1")]).first == 1


def test_a_session_begins_once(make: Any) -> None:
    with pytest.raises(ValueError, match="begins once"):
        ledger().record([make.received("s1"), make.received("s1")])


def test_every_payload_has_a_salt_of_its_own(make: Any) -> None:
    new = ledger()
    digests = [new.record([make.released("s", b"same")]).digests["body"] for _ in range(3)]
    assert len(set(digests)) == 3
