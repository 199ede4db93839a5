"""Payloads held against the entries that account for them: digest, size, and whether they are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from sqlalchemy import func, select

from authz_service.audit.draft import Kind
from authz_service.audit.entry import SALT_BYTES, microseconds, payload_digest
from authz_service.audit.forgotten import Forgotten
from authz_service.audit.retention import STANDING, retention_of
from authz_service.audit.walk import Seen
from authz_service.errors import Unavailable
from authz_service.store.bulk_rows import PayloadRow
from authz_service.store.damage import DamagedKey
from authz_service.store.payload_rows import KEYS_MISSING, open_payload
from authz_service.store.record_reader import DIGESTS_AT_ONCE, RecordReader
from authz_service.store.schema import payloads, sessions
from authz_service.store.subjects import is_done_by_somebody, names_nobody, subject_of

Say = Callable[[str, str], None]
Wanted = tuple[int, str]
"""The number of an entry, and the name of one of its payloads."""
Place = tuple[int, str, int, Mapping[str, Any]]
"""The same, how large it is by that entry, and the entry."""

DERIVED_FROM = frozenset({"caller", "detail", "voter", "reason", "comment", "revoked", "operator", "key"})
"""The payloads that columns are derived from."""

KEY_GONE = "cannot be opened: its key is gone, and no entry tells that it was destroyed"
KEY_DAMAGED = "cannot be opened: its key in the key store is damaged"
OTHER_BYTES = "its bytes are not those that the entry accounts for"
HASH = " (SHA-256)"
"""After the name of a payload: its bytes' own digest, where only that is compared with others."""
_HELD = frozenset({Kind.HOLD_OPENED.value, Kind.HOLD_EDITED.value, Kind.HOLD_RESPONDED.value})


@dataclass(slots=True)
class CheckedPayloads:
    """Of some entries: how many payloads are there, what is wrong, and the good ones that others go by.

    These are payloads that columns are derived from, and digests of bytes that were held.
    """

    count: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)
    found: dict[Wanted, bytes] = field(default_factory=dict)


class PayloadsCheck:
    """What it says of some entries depends on these alone, and on what was let go of."""

    def __init__(self, reader: RecordReader, forgotten: Forgotten) -> None:
        self._reader, self._forgotten = reader, forgotten
        self._going = forgotten.going()

    def page(self, seen: Sequence[Seen]) -> CheckedPayloads:
        """Check what these entries account for."""
        checked = CheckedPayloads()
        references = self._references(seen, checked)
        missing = dict(references)
        lost: list[tuple[str, Place]] = []
        sizes = [(digest, places[0][2]) for digest, places in references.items()]
        has_purges, destroyed = bool(self._forgotten.purges), self._forgotten.destroyed
        for row in self._reader.payload_rows(sizes):
            digest, _, _, key, at, retention = row
            places = missing.pop(digest)
            checked.count += 1
            is_destroyed = key is not None and destroyed(key)
            body: bytes | str = KEY_GONE
            if not is_destroyed or self._may_be_had(key):
                body = self._opened(row)
            for place in places:
                sequence, name, size, document = place
                if has_purges and self._is_purged(sequence, name, document):
                    what = "is there, and a tombstone says that it was taken"
                    checked.wrong.append((_record(sequence, name), what))
                if (at, retention) != _kept(document, name):
                    what = "is not filed under the time and the kind of its entry"
                    checked.wrong.append((_record(sequence, name), what))
                if is_destroyed and body == KEY_GONE:
                    lost.append((key or "", place))
                elif isinstance(body, str):
                    checked.wrong.append((_record(sequence, name), body))
                elif len(body) != size:
                    what = f"has {len(body)} bytes, its entry says {size}"
                    checked.wrong.append((_record(sequence, name), what))
                elif name in DERIVED_FROM:
                    checked.found[sequence, name] = body
                elif _is_held(document, name):
                    checked.found[sequence, name + HASH] = sha256(body).digest()
        gone = [place for places in missing.values() for place in places]
        callers = self._callers(place[3] for place in (*gone, *(place for _, place in lost)))
        self._judge_missing(gone, callers, checked)
        self._judge_lost(lost, callers, checked)
        return checked

    def stored(self, seen: Sequence[Seen]) -> int:
        """How many payloads of these entries are there, whatever they are."""
        digests = sorted(self._references(seen, CheckedPayloads()))
        found = 0
        for start in range(0, len(digests), DIGESTS_AT_ONCE):
            some = payloads.c.digest.in_(digests[start : start + DIGESTS_AT_ONCE])
            found += self._reader.read(select(func.count()).select_from(payloads).where(some)).scalar_one()
        return found

    def _callers(self, entries: Iterable[Mapping[str, Any]]) -> dict[str, str]:
        """Whose the sessions of these entries are; the rows are verified as such."""
        wanted = sorted({entry["session"] for entry in entries} - {None})
        callers: dict[str, str] = {}
        for start in range(0, len(wanted), DIGESTS_AT_ONCE):
            some = wanted[start : start + DIGESTS_AT_ONCE]
            query = select(sessions.c.id, sessions.c.caller).where(sessions.c.id.in_(some))
            callers |= {row.id: row.caller for row in self._reader.read(query)}
        return callers

    def _judge_missing(
        self,
        places: Sequence[Place],
        callers: Mapping[str, str],
        checked: CheckedPayloads,
    ) -> None:
        """What is not there must have been let go of."""
        for sequence, name, _, entry in places:
            if not self._is_gone(sequence, name, entry, callers):
                checked.wrong.append((_record(sequence, name), "is not there"))

    def _judge_lost(
        self,
        places: Sequence[tuple[str, Place]],
        callers: Mapping[str, str],
        checked: CheckedPayloads,
    ) -> None:
        """What is sealed under a destroyed key must be about whose key that was.

        Or whoever can write to the database could have anything pass for erased: the ids of such keys stand
        in entries. Of an entry of before that names its person in payloads alone, nothing can tell.
        """
        for key, (sequence, name, _, entry) in places:
            if names_nobody(entry["kind"], entry["data"]):
                continue
            subject = _subject(entry, name, callers)
            if not self._forgotten.lost_with(key, subject, sequence):
                what = "cannot be opened: its key was destroyed, and was that of somebody else"
                checked.wrong.append((_record(sequence, name), what))

    def _is_gone(
        self, sequence: int, name: str, entry: Mapping[str, Any], callers: Mapping[str, str]
    ) -> bool:
        if self._is_purged(sequence, name, entry):
            return True
        if is_done_by_somebody(entry["kind"]):
            return False
        subject = _subject(entry, name, callers)
        erasure = self._forgotten.erased_rows(subject, sequence)
        if erasure is None or erasure.done is not None:
            return erasure is not None
        # It takes payloads once its keys are gone, and none of those on legal hold while they are there.
        caller = callers.get(entry["session"] or "")
        return not (self._forgotten.is_kept(entry["session"], caller) and self._has_any(erasure.keys))

    def _may_be_had(self, key_id: str | None) -> bool:
        """Whether a key that is to be destroyed may be here still: its erasure was cut off."""
        return self._reader.keys is not None and key_id in self._going

    def _has_any(self, key_ids: Iterable[str]) -> bool:
        keys = self._reader.keys
        try:
            return keys is not None and any(keys.key(key_id) is not None for key_id in key_ids)
        except Unavailable:
            return True  # there, and not to be opened

    def _is_purged(self, sequence: int, name: str, entry: Mapping[str, Any]) -> bool:
        kind = entry["kind"]
        if kind in STANDING:
            return False
        return self._forgotten.purge_of(retention_of(kind, name), sequence, entry["session"]) is not None

    def _opened(self, row: PayloadRow) -> bytes | str:
        """The bytes that the digest of the row is over, or why there are none."""
        try:
            opened = open_payload(row, self._reader.keys)
            if opened is None:
                return KEY_GONE
            salt, body = opened
            is_whole = len(salt) == SALT_BYTES and payload_digest(salt, body) == row.digest
        except Unavailable as error:
            if isinstance(error, DamagedKey):
                return KEY_DAMAGED
            return "is sealed, and no keys are here" if error.code == KEYS_MISSING else OTHER_BYTES
        except (TypeError, ValueError):
            return OTHER_BYTES  # SQLite gives back whatever was put there
        return body if is_whole else OTHER_BYTES

    def _references(self, seen: Sequence[Seen], checked: CheckedPayloads) -> dict[bytes, list[Place]]:
        references: dict[bytes, list[Place]] = {}
        for entry in seen:
            sequence, document = entry.sequence, entry.document
            for name, reference in document["payloads"].items():
                try:
                    digest, size = bytes.fromhex(reference["digest"]), int(reference["size"])
                except (ValueError, KeyError, TypeError):
                    what = "is named without digest and size"
                    checked.wrong.append((_record(sequence, name), what))
                    continue
                references.setdefault(digest, []).append((sequence, name, size, document))
        return references


def judge_count(
    reader: RecordReader, say: Say, accounted_for: int, again: Callable[[], int] | None = None
) -> None:
    """There may be no payloads but those that entries account for.

    `again` counts these in this very view, where others have helped: in theirs there may have been less.
    """
    there = reader.read(select(func.count()).select_from(payloads)).scalar_one()
    if there > accounted_for and again is not None:
        accounted_for = again()
    if there > accounted_for:
        say("payloads", f"{there - accounted_for} are there that no entry accounts for")


def _subject(entry: Mapping[str, Any], name: str, callers: Mapping[str, str]) -> str:
    return subject_of(entry["kind"], entry["data"], name, callers.get(entry["session"] or "", ""))


def _is_held(document: Mapping[str, Any], name: str) -> bool:
    """Whether these are the bytes of a hold: as they wait, or as they were released to the model."""
    if name == "body":
        return document["kind"] == Kind.REQUEST_RELEASED and bool(document["data"].get("hold"))
    return name == "forward" and document["kind"] in _HELD


def _kept(document: Mapping[str, Any], name: str) -> tuple[int, str]:
    """The time (microseconds) and the class that a payload of this entry is filed under."""
    try:
        return microseconds(document["at"]), retention_of(document["kind"], name)
    except ValueError:
        return -1, ""  # the entry was named


def _record(sequence: int, name: str) -> str:
    return f"payload {name} of entry {sequence}"
