"""Why a payload that an entry accounts for cannot be read: what the record itself says of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from authz_service.audit.draft import Kind
from authz_service.audit.entry import ReadEntry, rfc3339
from authz_service.audit.forgotten import Forgotten
from authz_service.audit.retention import retention_of
from authz_service.core.ports import DAMAGED
from authz_service.errors import Unavailable
from authz_service.store.keeping import order_of
from authz_service.store.subjects import subject_of
from authz_service.store.transaction import Reader

UNEXPLAINED = "missing, and no entry says why; run: authz audit verify"
UNTOLD = "missing, and what the record says of its retention is damaged; run: authz audit verify"


def why_missing(
    reader: Reader,
    session: Sequence[ReadEntry],
    missing: Mapping[int, Sequence[str]],
    forgotten: Callable[[Reader], Forgotten],
) -> dict[int, dict[str, str]]:
    """A sentence for each payload of a session that is not there, by the number of its entry."""
    if not missing:
        return {}
    try:
        why = _Why(reader, forgotten(reader))
    except Unavailable as error:
        if error.code != DAMAGED:
            raise
        return {number: dict.fromkeys(names, UNTOLD) for number, names in missing.items()}
    caller = next(
        (str(e.data.get("caller", "")) for e in session if e.kind == Kind.REQUEST_RECEIVED.value), ""
    )
    return {
        entry.sequence: {name: why.of(entry, name, caller) for name in missing[entry.sequence]}
        for entry in session
        if entry.sequence in missing
    }


class _Why:
    """Reads once who ordered an erasure."""

    def __init__(self, reader: Reader, forgotten: Forgotten) -> None:
        self._reader, self._forgotten = reader, forgotten
        self._by: dict[int, str] = {}

    def of(self, entry: ReadEntry, name: str, caller: str) -> str:
        subject = subject_of(entry.kind, entry.data, name, caller)
        erasure = self._forgotten.erasure_of(subject, entry.sequence) if subject else None
        if erasure is not None:
            by = self._orderer(erasure.ordered) or "somebody whose name is gone"
            return f"erased on {_day(erasure.at)} by {by} (entry {erasure.ordered})"
        purge = self._forgotten.purge_of(retention_of(entry.kind, name), entry.sequence, entry.session)
        if purge is not None:
            return f"purged on {_day(purge.at)} ({purge.policy}; entry {purge.sequence})"
        return UNEXPLAINED

    def _orderer(self, ordered: int) -> str:
        if ordered not in self._by:
            self._by[ordered] = order_of(self._reader, ordered).by
        return self._by[ordered]


def _day(at: int) -> str:
    return rfc3339(at)[:10]
