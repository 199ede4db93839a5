"""Why a payload that an entry accounts for cannot be read: what the record itself says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from authz_service.audit.draft import BY_REVIEWERS, OF_LOGINS, Kind
from authz_service.audit.entry import ReadEntry, rfc3339
from authz_service.audit.forgotten import Forgotten, is_about_another
from authz_service.audit.retention import STANDING, retention_of
from authz_service.store.forgotten_rows import read_forgotten
from authz_service.store.keeping import order_of
from authz_service.store.transaction import Reader

OF_STANDING = {"revoked": "subject", "key": "subject", "operator": "operator", "order": "orderer"}
"""Where entries that stay for ever say by pseudonym whom a payload of theirs is about."""
OF_NOBODY_NAMED = frozenset({Kind.SESSION_READ.value, Kind.SESSION_SEARCHED.value, Kind.SESSION_KILLED.value})
"""What somebody did whom only its payloads name: all are about them, and no column is made from these."""
UNEXPLAINED = "missing, and no entry says why; run: authz audit verify"


def why_missing(
    reader: Reader, session: Sequence[ReadEntry], missing: Mapping[int, Sequence[str]]
) -> dict[int, dict[str, str]]:
    """A sentence for each payload of a session that is not there, by the number of its entry."""
    if not missing:
        return {}
    forgotten = read_forgotten(reader)
    caller = next(
        (str(e.data.get("caller", "")) for e in session if e.kind == Kind.REQUEST_RECEIVED.value), ""
    )
    return {
        entry.sequence: {
            name: _why(reader, forgotten, entry, name, caller) for name in missing[entry.sequence]
        }
        for entry in session
        if entry.sequence in missing
    }


def _why(reader: Reader, forgotten: Forgotten, entry: ReadEntry, name: str, caller: str) -> str:
    subject = subject_of(entry.kind, entry.data, name, caller)
    erasure = forgotten.erasure_of(subject, entry.sequence) if subject else None
    if erasure is not None:
        by = order_of(reader, erasure.ordered).by or "somebody whose name is gone"
        return f"erased on {_day(erasure.at)} by {by} (entry {erasure.ordered})"
    purge = forgotten.purge_of(retention_of(entry.kind, name), entry.sequence, entry.session)
    if purge is not None:
        return f"purged on {_day(purge.at)} ({purge.policy}; entry {purge.sequence})"
    return UNEXPLAINED


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


def _day(at: int) -> str:
    return rfc3339(at)[:10]
