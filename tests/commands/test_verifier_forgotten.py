"""Whose payload it was that is missing: what the verifier of an export lets an erasure account for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from authz_verifier.forgotten import Tombstones

ERASED = [
    {"seq": 7, "kind": "record.erasure_ordered", "session": "record", "data": {"subject": "p1"}},
    {"seq": 9, "kind": "record.erased", "session": "record", "data": {"ordered": 7}},
]
BY_NAME = [
    ("record.exported", "reader", "reader"),
    ("login.accepted", "detail", "caller"),
    ("notification.retried", "reason", "operator"),
    ("session.read", "reader", "reader"),
    ("session.killed", "reason", "operator"),
    ("hold.voted", "voter", "voter"),
    ("token.revoked", "revoked", "subject"),
    ("record.kept", "order", "orderer"),
]
"""Kinds of entries, payloads of theirs, and where these name whom they are about."""


@pytest.fixture
def tombstones(tmp_path: Path) -> Tombstones:
    (tmp_path / "tombstones.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in ERASED))
    return Tombstones(tmp_path)


def entry(kind: str, **data: Any) -> dict[str, Any]:
    return {"kind": kind, "session": "s1", "data": data}


@pytest.mark.parametrize(("kind", "payload", "member"), BY_NAME)
def test_what_was_of_the_person_is_erased_and_nothing_of_another(
    tombstones: Tombstones, kind: str, payload: str, member: str
) -> None:
    assert tombstones.took_payload(5, payload, entry(kind, **{member: "p1"})) == "erased"
    assert tombstones.took_payload(10, payload, entry(kind, **{member: "p1"})) == ""  # after its end
    for other in ("p2", "", 5, None):
        assert tombstones.took_payload(5, payload, entry(kind, **{member: other})) == ""


def test_what_names_nobody_is_of_whose_session_it_is(tombstones: Tombstones) -> None:
    released = entry("request.released")
    assert tombstones.took_payload(5, "body", released) == ""
    tombstones.follow(entry("request.received", caller="p1"))
    assert tombstones.took_payload(5, "body", released) == "erased"
    assert tombstones.took_payload(5, "original", released) == "left out"
