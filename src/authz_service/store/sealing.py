"""Payloads on their way into the record: each sealed under the key of whom it is about."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from authz_service.audit.draft import EntryDraft, Subject
from authz_service.audit.entry import SALT_BYTES, PayloadRef, payload_digest
from authz_service.audit.retention import Retention, retention_of
from authz_service.keys.payload_cipher import seal
from authz_service.store.keyring import Keyring

Pseudonym = Callable[[tuple[str, str]], str]
"""What entries carry in the place of a person's identity."""

Random = Callable[[int], bytes]
PayloadRow = tuple[bytes, bytes, bytes, str | None, int, str]

PAYLOAD_COLUMNS = ("digest", "salt", "body", "key", "at", "retention")
SEEDS_AT_ONCE = 64  # asking the system for each would give the interpreter's lock away each time


class Sealing:
    """`keyring` is None in a store whose payloads lie in clear, each with the salt of its digest."""

    def __init__(
        self, keyring: Keyring | None = None, pseudonym: Pseudonym | None = None, random: Random = os.urandom
    ) -> None:
        self._keyring = keyring
        self._pseudonym = pseudonym
        self._seeds = _seeds(random)

    def subject(self, draft: EntryDraft, name: str) -> str:
        """The pseudonym of whom the payload `name` is about; "" for the service itself."""
        subject: Subject = draft.subjects.get(name, draft.subject) if draft.subjects else draft.subject
        if type(subject) is str:
            return subject
        if self._pseudonym is None or isinstance(subject, str):
            raise ValueError("only a store that knows pseudonyms can tell whose payload this is")
        return self._pseudonym(subject)

    def row(self, body: bytes, *, subject: str, retention: Retention, at: int) -> PayloadRow:
        """The row of a payload recorded `at` (microseconds); raises `Unavailable` when keys are away."""
        seed = next(self._seeds)
        if self._keyring is None:
            return payload_digest(seed, body), seed, body, None, at, retention.value
        key = self._keyring.current(subject)
        digest, sealed = seal(key.key, seed, body)
        return digest, seed, sealed, key.id, at, retention.value


class Payloads:
    """The new payloads of one call: equal ones of the same session, subject and class are stored once.

    Those of two sessions never, nor those of entries that have none: one may go where the other is to stay.
    """

    def __init__(self, sealing: Sealing, *, at: int) -> None:
        self._sealing = sealing
        self._at = at
        self._known: list[tuple[bytes, str, Retention, EntryDraft, bytes]] = []
        self.rows: list[PayloadRow] = []

    def ref(self, draft: EntryDraft, name: str, body: bytes) -> PayloadRef:
        """How the entry accounts for its payload `name`, which is stored if it is new."""
        subject = self._sealing.subject(draft, name)
        retention = retention_of(draft.kind, name)
        for known, owner, kept_as, told_in, digest in self._known:
            is_equal = (known is body or known == body) and owner == subject and kept_as is retention
            if is_equal and _go_together(told_in, draft):
                return PayloadRef(digest, len(body))
        row = self._sealing.row(body, subject=subject, retention=retention, at=self._at)
        self._known.append((body, subject, retention, draft, row[0]))
        self.rows.append(row)
        return PayloadRef(row[0], len(body))


def _go_together(one: EntryDraft, other: EntryDraft) -> bool:
    return one is other or (one.session is not None and one.session == other.session)


def _seeds(random: Random) -> Iterator[bytes]:
    while True:
        pool = random(SEEDS_AT_ONCE * SALT_BYTES)
        for start in range(0, len(pool), SALT_BYTES):
            yield pool[start : start + SALT_BYTES]
