"""How long what is recorded is kept: the classes that `record.keep` has a time for."""

from __future__ import annotations

from enum import StrEnum

from authz_service.audit.draft import Kind


class Retention(StrEnum):
    """A class of what is recorded, named as in `record.keep`."""

    ENTRIES = "entries"
    PAYLOADS = "payloads"
    ORIGINALS = "originals"


ORIGINAL = "original"
"""The name of a payload that has what was there before masking."""

STANDING = frozenset(
    {
        Kind.POLICY_ACTIVATED,
        Kind.LOG_KEY_CREATED,
        Kind.LOG_KEY_ROTATED,
        Kind.TOKEN_REVOKED,
        Kind.TOKEN_RESTORED,
        Kind.API_KEY_CREATED,
        Kind.API_KEY_ROTATED,
        Kind.API_KEY_REVOKED,
        Kind.RECORD_ACCEPTED,
        Kind.MASTER_KEY_ROTATED,
        Kind.RECORD_PURGED,
        Kind.RECORD_KEPT,
        Kind.RECORD_KEEP_LIFTED,
        Kind.RECORD_ERASURE_ORDERED,
        Kind.RECORD_ERASED,
    }
)
"""What stays for ever: without it the rest could not be verified, or nobody could tell why it was decided.

A policy is in force for longer than the entry that says so: who decided today may name one of years ago.
"""

TAKEN_WITH = {
    Retention.ORIGINALS: (Retention.ORIGINALS, Retention.PAYLOADS, Retention.ENTRIES),
    Retention.PAYLOADS: (Retention.PAYLOADS, Retention.ENTRIES),
    Retention.ENTRIES: (Retention.ENTRIES,),
}
"""The purges that take what is of a class: with payloads goes what was there before masking."""


def retention_of(kind: str, name: str) -> Retention:
    """The class of the payload `name` of an entry of `kind`.

    What the service says of itself (its policy, what was purged and on whose order, which tokens were
    withdrawn) explains entries and stays with them.
    """
    if name == ORIGINAL:
        return Retention.ORIGINALS
    return Retention.ENTRIES if kind in STANDING else Retention.PAYLOADS
