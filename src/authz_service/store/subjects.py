"""Whom a payload is about, as far as its entry tells."""

from __future__ import annotations

from collections.abc import Mapping

from authz_service.audit.draft import BY_REVIEWERS, DONE_BY, OF_LOGINS, Kind
from authz_service.audit.forgotten import is_about_another
from authz_service.audit.retention import STANDING

OF_STANDING = {"revoked": "subject", "key": "subject", "operator": "operator", "order": "orderer"}
"""Where entries that stay for ever say by pseudonym whom a payload of theirs is about."""
_DONE_BY = {kind.value: name for kind, name in DONE_BY.items()}


def subject_of(kind: str, data: Mapping[str, object], name: str, caller: str) -> str:
    """The pseudonym of whom a payload is about, where entries tell; `caller` is that of the session."""
    if kind in _DONE_BY:
        return str(data.get(_DONE_BY[kind], ""))
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


def names_nobody(kind: str, data: Mapping[str, object]) -> bool:
    """Whether this is what somebody did whom its payloads alone name, as in entries of before."""
    return kind in _DONE_BY and _DONE_BY[kind] not in data


def is_done_by_somebody(kind: str) -> bool:
    """Whether somebody read, searched or ended a session: an erasure takes no row of its payloads."""
    return kind in _DONE_BY
