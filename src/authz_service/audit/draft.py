"""An entry before the store numbers it: what happened, and the payloads that it accounts for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from authz_service.values import value


class Kind(StrEnum):
    """What an entry says happened. The name is what an auditor reads, so it does not change."""

    SERVICE_STARTED = "service.started"
    SERVICE_STOPPED = "service.stopped"
    POLICY_ACTIVATED = "policy.activated"
    POLICY_REFUSED = "policy.refused"
    REFUSALS_COUNTED = "refusals.counted"
    REQUEST_RECEIVED = "request.received"
    REQUEST_DECIDED = "request.decided"
    REQUEST_RELEASED = "request.released"
    REQUEST_REFUSED = "request.refused"
    REQUEST_REFUSED_AGAIN = "request.refused_again"
    HOLD_OPENED = "hold.opened"
    HOLD_ATTACHED = "hold.attached"
    HOLD_VOTED = "hold.voted"
    HOLD_APPROVED = "hold.approved"
    HOLD_REJECTED = "hold.rejected"
    HOLD_EXPIRED = "hold.expired"
    HOLD_SUPERSEDED = "hold.superseded"
    HOLD_KILLED = "hold.killed"
    HOLD_REMINDED = "hold.reminded"
    HOLD_ESCALATED = "hold.escalated"
    HOLD_BREAK_GLASS = "hold.break_glass"
    HOLD_WITHDRAWN = "hold.withdrawn"
    HOLD_CLAIMED = "hold.claimed"
    HOLD_UNCLAIMED = "hold.unclaimed"
    HOLD_COMMENTED = "hold.commented"
    HOLD_REVIEWED = "hold.reviewed"
    HOLD_EDITED = "hold.edited"
    HOLD_RESPONDED = "hold.responded"
    GRANT_PROPOSED = "grant.proposed"
    GRANT_VOTED = "grant.voted"
    GRANT_CREATED = "grant.created"
    GRANT_USED = "grant.used"
    GRANT_REVOKED = "grant.revoked"
    ANSWER_STARTED = "answer.started"
    ANSWER_DECIDED = "answer.decided"
    ANSWER_KEPT = "answer.kept"
    ANSWER_RELEASED = "answer.released"
    ANSWER_REFUSED = "answer.refused"
    EXCHANGE_ENDED = "exchange.ended"
    EXCHANGE_RECOVERED = "exchange.recovered"
    EXCHANGE_RESUMED = "exchange.resumed"
    SESSION_READ = "session.read"
    SESSION_SEARCHED = "session.searched"
    SESSION_KILLED = "session.killed"
    LOG_KEY_CREATED = "log.key_created"
    LOG_KEY_ROTATED = "log.key_rotated"
    CHECKPOINT_FAILING = "checkpoint.failing"
    CHECKPOINT_DELIVERED = "checkpoint.delivered"
    RECORD_EXPORTED = "record.exported"
    RECORD_ACCEPTED = "record.accepted"
    MASTER_KEY_ROTATED = "record.master_key_rotated"
    RECORD_PURGED = "record.purged"
    RECORD_KEPT = "record.kept"
    RECORD_KEEP_LIFTED = "record.keep_lifted"
    RECORD_ERASURE_ORDERED = "record.erasure_ordered"
    RECORD_ERASED = "record.erased"
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - a name
    TOKEN_RESTORED = "token.restored"  # noqa: S105 - a name
    LOGIN_ACCEPTED = "login.accepted"
    LOGIN_COMPLETED = "login.completed"
    LOGIN_REFUSED = "login.refused"
    API_KEY_CREATED = "api_key.created"
    API_KEY_ROTATED = "api_key.rotated"
    API_KEY_REVOKED = "api_key.revoked"
    NOTIFICATION_GIVEN_UP = "notification.given_up"
    NOTIFICATION_RETRIED = "notification.retried"


BY_REVIEWERS = frozenset(
    {
        Kind.HOLD_VOTED,
        Kind.HOLD_BREAK_GLASS,
        Kind.HOLD_WITHDRAWN,
        Kind.HOLD_CLAIMED,
        Kind.HOLD_UNCLAIMED,
        Kind.HOLD_COMMENTED,
        Kind.HOLD_REVIEWED,
        Kind.HOLD_EDITED,
        Kind.HOLD_RESPONDED,
        Kind.GRANT_VOTED,
        Kind.GRANT_REVOKED,
    }
)
"""What reviewers did: `voter` in the data is their pseudonym, the payload `voter` says who that is."""

OF_LOGINS = frozenset({Kind.LOGIN_ACCEPTED, Kind.LOGIN_COMPLETED})
"""That somebody came by an assertion: `caller` in the data is their pseudonym, and the payload is who."""

DONE_BY = {Kind.SESSION_READ: "reader", Kind.SESSION_SEARCHED: "reader", Kind.SESSION_KILLED: "operator"}
"""Where these say by pseudonym who did it, whom all their payloads are about; those of before do not."""

Scalar = str | int | bool | None
Subject = str | tuple[str, str]
"""Whom a payload is about: a pseudonym, or an identity that the store has one for; "" is the service."""

Data = Mapping[str, "Scalar | list[Scalar] | dict[str, Scalar]"]


class _Referable:
    """Who has recorded a draft may remember it without keeping what it holds."""

    __slots__ = ("__weakref__",)


@value
class EntryDraft(_Referable):
    """What is to be recorded. The store adds sequence, time, salts and digests when it commits.

    `data` has no personal data and no floats: names, reasons, prompts and answers are payloads, each
    under a name that is unique in the entry. Two payloads of a session with the same bytes are stored once.
    They are sealed under the key of `subject`, or of whom `subjects` has for their name.
    """

    kind: Kind
    session: str | None = None
    data: Data = field(default_factory=dict)
    payloads: Mapping[str, bytes] = field(default_factory=dict)
    subject: Subject = ""
    subjects: Mapping[str, Subject] = field(default_factory=dict)
