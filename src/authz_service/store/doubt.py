"""Commits that nobody was told of: what they recorded is found in the record, and not recorded again.

When the answer to COMMIT is lost, the transaction is on record or it is not. Whoever has the lock on the head
sees which: no other transaction is under way then, and either its last entry stands where it would have put
it, or another one does, or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakValueDictionary

from sqlalchemy import Connection, select

from authz_service.audit.draft import EntryDraft, Kind
from authz_service.store.bulk_rows import as_bytes
from authz_service.store.schema import entries

MOST_KEPT = 4096
"""Ends of exchanges that are known to be on record already; older ones are forgotten."""


@dataclass(slots=True)
class Doubt:
    """A transaction whose COMMIT was not answered, by its last entry; `committed` once that is known."""

    sequence: int
    leaf: bytes
    drafts: Sequence[EntryDraft]
    committed: bool | None = None

    def settle(self, connection: Connection) -> None:
        """Look it up, within a transaction that has the head's lock."""
        query = select(entries.c.leaf).where(entries.c.seq == self.sequence)
        found = connection.execute(query).scalar_one_or_none()
        self.committed = found is not None and as_bytes(found) == self.leaf


class RecordedUnseen:
    """What is on record although whoever had it recorded may have been told that it is not.

    They try again: with the very same draft, or with another end of the exchange. It is kept for too many
    rather than for too few: a draft is never recorded twice on purpose, nor does an exchange end twice,
    unless it was resumed between. A draft that nobody has any more cannot be tried again: it goes, with what
    it holds.
    """

    def __init__(self) -> None:
        self._drafts: WeakValueDictionary[int, EntryDraft] = WeakValueDictionary()
        self._ended: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._drafts or self._ended)

    def keep(self, drafts: Sequence[EntryDraft]) -> None:
        """These are on record."""
        for draft in drafts:
            self._drafts[id(draft)] = draft
            if draft.kind is Kind.EXCHANGE_ENDED and draft.session is not None:
                self._ended[draft.session] = None
        while len(self._ended) > MOST_KEPT:
            del self._ended[next(iter(self._ended))]

    def without(self, drafts: Sequence[EntryDraft]) -> Sequence[EntryDraft]:
        """Those that are to be recorded."""
        for draft in drafts:
            if draft.kind is Kind.EXCHANGE_RESUMED:
                self._ended.pop(draft.session or "", None)
        return [draft for draft in drafts if not self._has(draft)]

    def _has(self, draft: EntryDraft) -> bool:
        has_ended = draft.kind is Kind.EXCHANGE_ENDED and draft.session in self._ended
        return has_ended or id(draft) in self._drafts
