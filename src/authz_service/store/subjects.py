"""Whom a payload is about, as far as its entry tells."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.audit.draft import BY_REVIEWERS, OF_LOGINS, Kind
from authz_service.audit.forgotten import is_about_another
from authz_service.audit.retention import STANDING

OF_STANDING = {"revoked": "subject", "key": "subject", "operator": "operator", "order": "orderer"}
"""Where entries that stay for ever say by pseudonym whom a payload of theirs is about."""
OF_NOBODY_NAMED = frozenset({Kind.SESSION_READ.value, Kind.SESSION_SEARCHED.value, Kind.SESSION_KILLED.value})
"""What somebody did whom only its payloads name: all are about them, and no column is made from these."""


def subject_of(kind: str, data: Mapping[str, object], name: str, caller: str) -> str:
    """The pseudonym of whom a payload is about, where entries tell; `caller` is that of the session."""
    if kind in BY_REVIEWERS and name == "voter":
        return str(data.get("voter", ""))
    if kind in STANDING:
        return str(data.get(OF_STANDING.get(name, ""), ""))
    if kind == Kind.RECORD_EXPORTED:
        return str(data.get("reader", ""))
    if kind == Kind.NOTIFICATION_RETRIED:
        return str(data.get("operator", caller))  # not said in a first version, and taken with the session
    if kind in OF_LOGINS:
        return str(data.get("caller", ""))
    return "" if is_about_another(kind, name) else caller
