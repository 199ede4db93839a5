"""The rows of `holds` and `votes` held against what the entries make of them.

What never changes in a row is compared when its hold opens; what does, at the end. In memory is, for each
hold, as much as it takes to say how it stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from authz_service.audit.draft import Kind
from authz_service.audit.forgotten import Forgotten
from authz_service.audit.retention import Retention
from authz_service.audit.walk import Seen
from authz_service.core.stored_holds import HoldState
from authz_service.store.record_reader import RecordReader
from authz_service.store.verify_decisions import say_wrong, wrong_with_release
from authz_service.store.verify_eyes import Eyes
from authz_service.store.verify_hold_acts import ACTS, follow_act, follow_vote
from authz_service.store.verify_hold_course import (
    ENDS,
    SETTLING,
    TURNS,
    Settled,
    follow_end,
    follow_opening,
    follow_turn,
)
from authz_service.store.verify_hold_rows import HoldRows
from authz_service.store.verify_payloads import HASH, Say, Wanted
from authz_service.store.verify_standing import KnownHold

_CONCERNING = frozenset(
    {
        Kind.HOLD_OPENED.value,
        Kind.HOLD_VOTED.value,
        Kind.HOLD_BREAK_GLASS.value,
        Kind.ANSWER_RELEASED.value,
        *SETTLING,
        *ENDS,
        *TURNS,
        *ACTS,
    }
)
"""What `_follow` looks at: most entries are none of these."""


class HoldsCheck:
    """Feed `page` with all entries in order, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say, forgotten: Forgotten) -> None:
        self._say, self._forgotten = say, forgotten
        self._has_purged_entries = any(p.retention is Retention.ENTRIES for p in forgotten.purges)
        self._holds: dict[str, KnownHold] = {}
        self._rows = HoldRows(reader, say)
        self._releasing: tuple[str, int] | None = None
        self._settled: Settled = ("", "", "")

    def page(self, seen: Sequence[Seen], payloads: Mapping[Wanted, bytes]) -> None:
        """Follow what these entries do to holds; compare the rows that begin with them."""
        opened: dict[str, dict[str, Any]] = {}
        voted: dict[int, dict[str, Any]] = {}
        acted: dict[int, dict[str, Any]] = {}
        for entry in seen:
            if self._releasing is None and entry.document["kind"] not in _CONCERNING:
                continue
            try:
                self._follow(entry, payloads, opened, voted, acted)
            except (KeyError, ValueError, TypeError):
                if self._has_purged_entries and _hold_of(entry) not in self._holds:
                    continue  # the entry that it was opened with has gone before
                self._say(f"entry {entry.sequence}", "does not say what became of its hold")
        self._rows.compare_opened(opened)
        self._rows.compare_said(voted, acted, self._holds)

    def eyes(self, hold: str) -> Eyes | None:
        """Who has a say on a hold; None for one that no entry tells of (any more)."""
        known = self._holds.get(hold)
        return None if known is None else known.eyes

    def has_row(self, hold: str) -> bool:
        """Whether it must have a row, and what was made from it too."""
        known = self._holds.get(hold)
        return known is not None and not known.is_gone

    def end(self) -> None:
        """Compare how holds stand; there may be no other rows."""
        self._rows.compare_standing(self._holds)

    def _follow(
        self,
        entry: Seen,
        payloads: Mapping[Wanted, bytes],
        opened: dict[str, dict[str, Any]],
        voted: dict[int, dict[str, Any]],
        acted: dict[int, dict[str, Any]],
    ) -> None:
        document = entry.document
        kind, session, data, at = document["kind"], document["session"], document["data"], document["at"]
        if self._releasing is not None:
            hold, released = self._releasing
            if (kind, entry.sequence) == (Kind.EXCHANGE_ENDED, released + 1):
                # Recorded in one go with the release, and the row names the last. By their times that could
                # not be told: after a clock went back, all has one time until it has caught up.
                self._holds[hold].changed = entry.sequence
            self._releasing = None
        if kind in SETTLING:
            self._settled = (session, at, SETTLING[kind])
        if kind == Kind.HOLD_OPENED:
            opened[data["hold"]] = follow_opening(self._say, entry, self._holds, payloads, self._forgotten)
        elif kind in (Kind.HOLD_VOTED, Kind.HOLD_BREAK_GLASS):
            voted[entry.sequence] = follow_vote(self._say, entry, self._holds[data["hold"]], payloads)
        elif kind in ACTS:
            acted[entry.sequence] = follow_act(self._say, entry, self._holds[data["hold"]], payloads)
        elif kind in TURNS:
            follow_turn(entry, self._holds[data["hold"]])
        elif kind in ENDS:
            settled = None if self._has_purged_entries else self._settled
            follow_end(self._say, entry, self._holds[data["hold"]], settled)
        elif kind in (Kind.REQUEST_RELEASED, Kind.ANSWER_RELEASED) and data.get("hold"):
            self._released(entry, data["hold"], payloads)

    def _released(self, entry: Seen, name: str, payloads: Mapping[Wanted, bytes]) -> None:
        hold = self._holds[name]
        released = payloads.get((entry.sequence, "body" + HASH))
        say_wrong(self._say, entry, wrong_with_release(hold, entry.document, released))
        hold.end(HoldState.RELEASED)
        hold.released_to, hold.changed = entry.document["session"], entry.sequence
        hold.version += 1
        if entry.document["kind"] == Kind.ANSWER_RELEASED:
            self._releasing = name, entry.sequence


def _hold_of(entry: Seen) -> Any:
    """The hold that an entry names, as far as it does."""
    return entry.document["data"].get("hold")
