"""What the entries of its opening, its turns and its end make of a hold and of its row: for verification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from authz_service.audit.columns import clean
from authz_service.audit.draft import Kind
from authz_service.audit.entry import microseconds
from authz_service.audit.forgotten import Forgotten
from authz_service.audit.walk import Seen
from authz_service.core.holds import Pending, Turn
from authz_service.core.stored_holds import HoldState
from authz_service.store.column_texts import identity_text, micro, read_stage
from authz_service.store.hold_documents import read_approvals
from authz_service.store.hold_standing import next_turn
from authz_service.store.verify_decisions import say_wrong, wrong_with_bytes, wrong_with_end
from authz_service.store.verify_eyes import Eyes, Person, edited_before, requester_in
from authz_service.store.verify_payloads import HASH, Say, Wanted
from authz_service.store.verify_standing import KnownHold

ENDS = {
    Kind.HOLD_APPROVED.value: HoldState.APPROVED,
    Kind.HOLD_REJECTED.value: HoldState.REJECTED,
    Kind.HOLD_EXPIRED.value: HoldState.EXPIRED,
    Kind.HOLD_SUPERSEDED.value: HoldState.SUPERSEDED,
    Kind.HOLD_KILLED.value: HoldState.KILLED,
}
"""The state that a hold ends in, by the kind of the entry that says so."""
SETTLING = {Kind.REQUEST_REFUSED.value: "refused", Kind.REQUEST_RELEASED.value: "released"}
"""What the rules make of a session, as the end of the hold says it that this has waited for."""
Settled = tuple[str | None, str, str]
"""The session of which that is on record last, when, and what."""
TURNS = {Kind.HOLD_REMINDED.value: Turn.REMINDED, Kind.HOLD_ESCALATED.value: Turn.ESCALATED}
"""The turns of a stage, by the kind of their entry."""


def follow_opening(
    say: Say,
    entry: Seen,
    holds: dict[str, KnownHold],
    payloads: Mapping[Wanted, bytes],
    forgotten: Forgotten,
) -> dict[str, Any]:
    """One of `holds` is opened; its row, as far as the entry tells."""
    document, data = entry.document, entry.document["data"]
    at, deadline = microseconds(document["at"]), microseconds(data["deadline"])
    forward = document["payloads"]["forward"]
    row = {
        "id": data["hold"],
        "seq": entry.sequence,
        "created_at": at,
        "session": document["session"],
        "rule": clean(data["rule"]),
    }
    named = frozenset({forward["digest"], data.get("digest", forward["digest"])})
    row |= {name: data[name] for name in ("fingerprint",) if name in data}
    approvals, zones, digest = None, {}, data.get("digest")
    eyes = Eyes(data["person"])
    detail = payloads.get((entry.sequence, "detail"))
    if detail is not None:
        told = json.loads(detail)
        caller = requester_in(told)
        eyes = Eyes(data["person"], caller, _editors_before(told, holds))
        row |= {
            "identity": identity_text(caller.identity),
            "subject": clean(caller.subject),
            "model": clean(told["model"]),
            "detail": detail.decode(),
            "fingerprint": told["fingerprint"],
        }
        digest = told["digest"]
        approvals = read_approvals(told["approvals"])
        zones = told.get("zones", {})
    is_gone = forgotten.took_payloads(entry.sequence, document["session"], data["person"])
    if detail is not None and forgotten.is_being_erased(data["person"], entry.sequence):
        is_gone = False  # the erasure has not come to it: rows go with the payloads
    hold = KnownHold(
        at,
        entry.sequence,
        deadline,
        forward["digest"],
        forward["size"],
        named,
        digest,
        frozenset(data.get("approvals", ())),
        approvals,
        zones,
        eyes,
    )
    hold.is_gone = is_gone
    say_wrong(say, entry, wrong_with_bytes(hold, payloads.get((entry.sequence, "forward" + HASH))))
    stands = hold.stands(at)
    if isinstance(stands, Pending):
        hold.turn_at = next_turn(stands, at)
    holds[data["hold"]] = hold
    return row


def _editors_before(detail: Mapping[str, Any], holds: Mapping[str, KnownHold]) -> list[Person]:
    known = holds.get(edited_before(detail) or "")
    return [] if known is None else list(known.eyes.editors)


def follow_turn(entry: Seen, hold: KnownHold) -> None:
    """Of a stage its reviewers are reminded, or it is escalated."""
    document, data = entry.document, entry.document["data"]
    hold.version += 1
    hold.changed = entry.sequence
    stands = hold.stands(microseconds(document["at"]))
    if not isinstance(stands, Pending):
        return
    this = (TURNS[document["kind"]], read_stage(data["stage"]), microseconds(data["due"]))
    told = [(turn.turn, turn.stage, micro(turn.at)) for turn in stands.turns]
    later = told[told.index(this) + 1 :]
    hold.turn_at = later[0][2] if later else None


def follow_end(say: Say, entry: Seen, hold: KnownHold, settled: Settled | None) -> None:
    """A hold is decided, or ends without. `settled` is None where that may have been purged."""
    kind, data = entry.document["kind"], entry.document["data"]
    say_wrong(say, entry, wrong_with_end(hold, entry.document))
    if "why" in data and settled is not None and settled != (data["by"], entry.document["at"], data["why"]):
        say(f"entry {entry.sequence}", "ends a hold for what became of a session, which is not on record")
    hold.end(ENDS[kind])
    hold.changed = entry.sequence
    if kind in (Kind.HOLD_APPROVED, Kind.HOLD_REJECTED):
        hold.deadline = microseconds(data["deadline"])
    else:
        hold.version += 1
