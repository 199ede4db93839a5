"""Requests of alice's that wait, as the service hands them to a store."""

from __future__ import annotations

import hashlib

from tests.servers.review_made import BODY
from tests.servers.review_people import PEOPLE, SECURITY

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.core.entries import caller_payload
from authz_service.core.stored_holds import HoldDraft

DIGEST = hashlib.sha256(BODY).hexdigest()


def draft(number: int) -> HoldDraft:
    """A request of alice's that waits."""
    session, alice = f"ses_{number}", PEOPLE["alice"]
    received = EntryDraft(
        Kind.REQUEST_RECEIVED,
        session,
        {"api": "openai", "method": "POST", "path": "/v1/chat/completions", "caller": "p"},
        {"caller": caller_payload(alice)},
    )
    return HoldDraft(
        id=f"hld_{number}",
        session=session,
        caller=alice,
        fingerprint=hashlib.sha256(str(number).encode()).hexdigest(),
        changes="",
        digest=DIGEST,
        forward=BODY,
        api="openai",
        operation="chat.completions",
        model="llama",
        rule="contractors",
        reason="",
        policy="p" * 64,
        approvals=(SECURITY,),
        entries=(received,),
    )
