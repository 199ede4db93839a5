"""Verifies a live store: the entries from their bytes, the head, payloads, and every derived column."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import func, select

from authz_service.audit.checkpoint import SESSION as LOG_SESSION
from authz_service.audit.checkpoint import Checkpoint, VerifierKey, is_signed_by
from authz_service.audit.draft import Kind
from authz_service.audit.entry import PayloadRef, decode, microseconds, payload_digest
from authz_service.audit.forgotten import Forgotten
from authz_service.audit.given_up import LISTED, GivenUp, read_listing
from authz_service.audit.merkle import Frontier
from authz_service.audit.retention import Retention
from authz_service.audit.walk import Kept, Seen, Walk, Wrong, readable
from authz_service.errors import Unavailable
from authz_service.keys.log_key import is_ed25519_signature
from authz_service.store.forgotten_rows import accounted_for
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import entries, head
from authz_service.store.verify_ahead import Helpers, ahead
from authz_service.store.verify_api_keys import ApiKeysCheck
from authz_service.store.verify_budgets import BudgetsCheck
from authz_service.store.verify_grants import GrantsCheck
from authz_service.store.verify_holds import HoldsCheck
from authz_service.store.verify_kept import KeptCheck
from authz_service.store.verify_once import OnceCheck
from authz_service.store.verify_outbox import check_outbox
from authz_service.store.verify_payloads import CheckedPayloads, PayloadsCheck, judge_count
from authz_service.store.verify_revocations import RevocationsCheck
from authz_service.store.verify_sessions import SessionsCheck

MOST_LISTED = 10_000
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class Verified:
    """What was found: the first 10,000 of `count` wrong records, in the order in which they were met."""

    origin: str = ""
    size: int = 0
    root: bytes = b""
    signed_by: str = ""
    payloads: int = 0
    count: int = 0
    wrong: list[Wrong] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def say(self, record: str, what: str) -> None:
        """One more."""
        self.count += 1
        if len(self.wrong) < MOST_LISTED:
            self.wrong.append(Wrong(record, what))


def verify_store(
    reader: RecordReader,
    *,
    keys: Sequence[VerifierKey],
    kept: Sequence[Kept],
    with_payloads: bool = True,
    helpers: Helpers | None = None,
    progress: Progress = lambda done, size: None,
    report: Verified | None = None,
) -> Verified:
    """Recompute everything that `reader` shows from the bytes of the entries.

    `kept` are checkpoints whose signatures are good. Without payloads their bytes are not read, and the
    columns that are derived from them are not compared. Payloads of a large record are verified by
    `helpers`, beside what is done here. What is found is added to `report`, in the same order.
    No garbage is looked for in this process meanwhile.
    """
    report = report or Verified()
    report.origin = keys[0].name
    found = reader.head()
    last = reader.largest()
    if found is None:
        report.say("head", "is missing")
    report.size = last if found is None else found.size
    with _no_garbage_collected():
        helpers = helpers if with_payloads else None
        walk = _walk(reader, kept, min(last, report.size), report, with_payloads, helpers, progress)
    if found is not None:
        report.root = bytes(found.root)
        _judge_head(found, walk.end(found.size, report.root), walk, report)
        if last > found.size:
            report.say(f"entries {found.size + 1} to {last}", "are there, and the head does not count them")
        report.signed_by = _signed_by(found, keys, report)
    _take(walk, report)
    strays = select(func.count()).select_from(entries).where(entries.c.seq < 1)
    if reader.read(strays).scalar_one():
        report.say("entries", "some have a number below 1")
    if reader.read(select(func.count()).select_from(head)).scalar_one() > 1:
        report.say("head", "there is more than one")
    return report


@contextmanager
def _no_garbage_collected() -> Iterator[None]:
    """Documents of entries have no cycles, and looking for some takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _given_up(reader: RecordReader, *, with_payloads: bool) -> list[GivenUp]:
    """What entries say of checkpoints that were given up; the entries themselves are verified later."""
    given_up: list[GivenUp] = []
    for row in reader.read(select(entries.c.body).where(entries.c.session == LOG_SESSION)):
        with suppress(ValueError, KeyError, TypeError):
            entry = decode(bytes(row.body))
            if entry.kind == Kind.RECORD_ACCEPTED:
                listed = _listed(reader, entry.payloads.get(LISTED)) if with_payloads else None
                given_up.append(GivenUp(int(entry.data["after"]), int(entry.data["kept_size"]), listed))
    return given_up


def _listed(reader: RecordReader, reference: PayloadRef | None) -> frozenset[tuple[int, bytes]] | None:
    """Those that the payload of an entry lists: none where it is not as it was recorded."""
    if reference is None:
        return None
    with suppress(Unavailable, ValueError):
        for digest, salt, body in reader.payloads([(reference.digest, reference.size)]):
            if payload_digest(salt, body) == digest:
                return read_listing(body)
    return frozenset()


def _forgotten(reader: RecordReader, report: Verified) -> Forgotten:
    """What tombstones account for. They are entries, and verified as such with all others."""
    try:
        return accounted_for(reader)
    except ValueError:
        report.say("the entries about retention", "cannot be read")
        return Forgotten()


def _walk(
    reader: RecordReader,
    kept: Sequence[Kept],
    last: int,
    report: Verified,
    with_payloads: bool,
    helpers: Helpers | None,
    progress: Progress,
) -> Walk:
    forgotten = _forgotten(reader, report)
    purged = partial(forgotten.purge_of, Retention.ENTRIES)
    walk = Walk(kept, _given_up(reader, with_payloads=with_payloads))
    if forgotten.purges:
        walk.is_purged = lambda sequence, session: purged(sequence, session) is not None
    payloads = PayloadsCheck(reader, forgotten)
    sessions = SessionsCheck(reader, report.say, forgotten)
    holds = HoldsCheck(reader, report.say, forgotten)
    grants = GrantsCheck(reader, report.say, forgotten, holds)
    revocations = RevocationsCheck(reader, report.say)
    api_keys = ApiKeysCheck(reader, report.say)
    budgets = BudgetsCheck(reader, report.say)
    used = OnceCheck(reader, report.say)
    kept_results = KeptCheck(reader, report.say, forgotten)
    for seen, checked in _pages(reader, walk, last, payloads if with_payloads else None, helpers, forgotten):
        _take(walk, report)
        for record, what in checked.wrong:
            report.say(record, what)
        report.payloads += checked.count
        derived_from = checked.found
        sessions.page(seen, derived_from)
        budgets.page(seen)
        api_keys.page(seen)
        holds.page(seen, derived_from)
        grants.page(seen, derived_from)
        used.page(seen)
        kept_results.page(seen)
        if with_payloads:
            revocations.page(seen, derived_from)
        progress(walk.size, last)
    sessions.end(last)
    budgets.end(last)
    api_keys.end()
    holds.end()
    grants.end()
    used.end(_time(walk))
    kept_results.end()
    check_outbox(reader, report.say)
    if with_payloads:
        again = None if helpers is None else partial(_stored, reader, payloads, last)
        judge_count(reader, report.say, report.payloads, again)
        revocations.end(_time(walk))
    if walk.emptied != forgotten.emptied():
        what = f"{walk.emptied} have lost their bytes, and tombstones tell of {forgotten.emptied()}"
        report.say("entries", what)
    return walk


def _stored(reader: RecordReader, payloads: PayloadsCheck, last: int) -> int:
    """How many payloads that entries account for are there in this view."""
    pages = reader.pages(1, last)
    return sum(payloads.stored(list(readable((row.seq, row.body) for row in page))) for page in pages)


def _pages(
    reader: RecordReader,
    walk: Walk,
    last: int,
    payloads: PayloadsCheck | None,
    helpers: Helpers | None,
    forgotten: Forgotten,
) -> Iterator[tuple[list[Seen], CheckedPayloads]]:
    """The entries that could be read, some thousands at once, and what was found of their payloads.

    Nobody helps while an erasure is under way: what it takes next no entry tells, and a later view has less.
    """
    if any(erasure.done is None for erasure in forgotten.erasures):
        helpers = None
    with ahead(helpers, last=last, told=forgotten.last) as others:
        for first, page in reader.ranges(1, last):
            others.begin(first)
            seen = walk.page(page)
            if payloads is None:
                yield seen, CheckedPayloads()
            else:
                yield seen, others.page(first) or payloads.page(seen)


def _take(walk: Walk, report: Verified) -> None:
    for wrong in walk.wrong:
        report.say(wrong.record, wrong.what)
    report.notes += walk.notes
    walk.wrong.clear()
    walk.notes.clear()


def _judge_head(found: Any, expected: Frontier | None, walk: Walk, report: Verified) -> None:
    if expected is not None and expected.to_bytes() != bytes(found.frontier):
        report.say("head", "its column frontier is not that of its entries")
    if _time(walk) != found.last_at:
        report.say("head", "its column last_at is not the time of the last entry")


def _time(walk: Walk) -> int:
    """When the last entry was recorded, as far as entries could be read."""
    try:
        return microseconds(walk.last_at) if walk.last_at else 0
    except ValueError:
        return 0  # the entry was named


def _signed_by(found: Any, keys: Sequence[VerifierKey], report: Verified) -> str:
    signature = bytes(found.signature or b"")
    for key in keys:
        checkpoint = Checkpoint(key.name, found.size, bytes(found.root))
        if is_signed_by(checkpoint, signature, [key], is_ed25519_signature):
            return str(key)
    report.say(
        "head", "is not signed" if not signature else "its signature is not that of a key that is known"
    )
    return ""
