"""The rows of `holds` and `votes` held against what the entries make of them.

What never changes in a row is compared when its hold opens; what does, at the end. In memory is, for each
hold, as much as it takes to say how it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Integer, Select, Table, func, select, type_coerce

from authz_service.audit.columns import clean
from authz_service.audit.draft import Kind
from authz_service.audit.entry import microseconds
from authz_service.audit.forgotten import Forgotten
from authz_service.audit.retention import Retention
from authz_service.audit.walk import Seen
from authz_service.core.acts import ActKind, Review
from authz_service.core.holds import Approved, Pending, StageRef, Turn, Verdict, Vote
from authz_service.core.ports import HoldState
from authz_service.store.column_texts import identity_text, micro, read_stage, seconds
from authz_service.store.hold_documents import read_approvals
from authz_service.store.hold_standing import OPEN, next_turn
from authz_service.store.record_reader import DIGESTS_AT_ONCE, RecordReader
from authz_service.store.schema import hold_acts, holds, votes
from authz_service.store.verify_decisions import (
    wrong_with_bytes,
    wrong_with_end,
    wrong_with_release,
    wrong_with_vote,
)
from authz_service.store.verify_eyes import Eyes, Person, edited_before, requester_in
from authz_service.store.verify_payloads import HASH, Say, Wanted
from authz_service.store.verify_standing import KnownHold
from authz_service.store.vote_rows import act_detail, vote_detail

_CHANGING = (
    *("version", "changed", "state", "deadline", "released_to", "turn_at", "review"),
    *("begun_at", "forward", "forward_size", "digest"),
)
# As stored: read as a Boolean, any number would do for true.
_VOTES = select(
    *(c for c in votes.c if c.name != "approves"), type_coerce(votes.c.approves, Integer).label("approves")
)
_ENDS = {
    Kind.HOLD_APPROVED.value: HoldState.APPROVED,
    Kind.HOLD_REJECTED.value: HoldState.REJECTED,
    Kind.HOLD_EXPIRED.value: HoldState.EXPIRED,
    Kind.HOLD_SUPERSEDED.value: HoldState.SUPERSEDED,
    Kind.HOLD_KILLED.value: HoldState.KILLED,
}
_TURNS = {Kind.HOLD_REMINDED.value: Turn.REMINDED, Kind.HOLD_ESCALATED.value: Turn.ESCALATED}
_ACTS = {
    Kind.HOLD_CLAIMED.value: ActKind.CLAIM,
    Kind.HOLD_UNCLAIMED.value: ActKind.UNCLAIM,
    Kind.HOLD_COMMENTED.value: ActKind.COMMENT,
    Kind.HOLD_WITHDRAWN.value: ActKind.WITHDRAW,
    Kind.HOLD_REVIEWED.value: ActKind.REVIEW,
    Kind.HOLD_EDITED.value: ActKind.EDIT,
    Kind.HOLD_RESPONDED.value: ActKind.RESPOND,
}
_CONCERNING = frozenset(
    {
        Kind.HOLD_OPENED.value,
        Kind.HOLD_VOTED.value,
        Kind.HOLD_BREAK_GLASS.value,
        Kind.REQUEST_RELEASED.value,
        Kind.ANSWER_RELEASED.value,
        *_ENDS,
        *_TURNS,
        *_ACTS,
    }
)
"""What `_follow` looks at: most entries are none of these."""


class HoldsCheck:
    """Feed `page` with all entries in order, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say, forgotten: Forgotten) -> None:
        self._reader, self._say, self._forgotten = reader, say, forgotten
        self._has_purged_entries = any(p.retention is Retention.ENTRIES for p in forgotten.purges)
        self._holds: dict[str, KnownHold] = {}
        self._votes = self._acts = 0
        self._releasing: tuple[str, str, str] | None = None

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
        self._compare_opened(opened)
        self._votes += self._compare_said(_VOTES, votes, "vote", voted)
        self._acts += self._compare_said(select(hold_acts), hold_acts, "act", acted)

    def eyes(self, hold: str) -> Eyes | None:
        """Who has a say on a hold; None for one that no entry tells of (any more)."""
        known = self._holds.get(hold)
        return None if known is None else known.eyes

    def end(self) -> None:
        """Compare how holds stand; there may be no other rows."""
        for row in self._rows():
            derived = self._holds.pop(row.id, None)
            if derived is None:
                self._say(_named(row.id), "has a row, and no entry that it opens with")
                continue
            for column in _CHANGING:
                if derived.is_known(column) and _stored(row, column) != getattr(derived, column):
                    self._say(_named(row.id), f"its column {column} is not what its entries make of it")
        for name, hold in self._holds.items():
            if not hold.is_gone:
                self._say(_named(name), "has entries, and no row")
        for table, told in ((votes, self._votes), (hold_acts, self._acts)):
            there = self._reader.read(select(func.count()).select_from(table)).scalar_one()
            if there > told:
                self._say(table.name, f"{there - told} are there that no entry tells of")

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
            hold, to, when = self._releasing
            if (session, at) == (to, when):  # recorded in one go with the release, and the row names the last
                self._holds[hold].changed = entry.sequence
            else:
                self._releasing = None
        if kind == Kind.HOLD_OPENED:
            opened[data["hold"]] = self._opened(entry, payloads)
        elif kind in (Kind.HOLD_VOTED, Kind.HOLD_BREAK_GLASS):
            voted[entry.sequence] = self._voted(entry, payloads)
        elif kind in _ACTS:
            self._releasing = None
            acted[entry.sequence] = self._acted(entry, payloads)
        elif kind in _TURNS:
            self._turned(entry, self._holds[data["hold"]])
        elif kind in _ENDS:
            self._ended(entry, self._holds[data["hold"]])
        elif kind in (Kind.REQUEST_RELEASED, Kind.ANSWER_RELEASED) and data.get("hold"):
            self._released(entry, data["hold"], payloads)

    def _opened(self, entry: Seen, payloads: Mapping[Wanted, bytes]) -> dict[str, Any]:
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
            eyes = Eyes(data["person"], caller, self._editors_before(told))
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
        is_gone = self._forgotten.took_payloads(entry.sequence, document["session"], data["person"])
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
        self._say_all(entry, wrong_with_bytes(hold, payloads.get((entry.sequence, "forward" + HASH))))
        stands = hold.stands(at)
        if isinstance(stands, Pending):
            hold.turn_at = next_turn(stands, at)
        self._holds[data["hold"]] = hold
        return row

    def _voted(self, entry: Seen, payloads: Mapping[Wanted, bytes]) -> dict[str, Any]:
        document, data = entry.document, entry.document["data"]
        at = microseconds(document["at"])
        approves = data["verdict"] == Verdict.APPROVE.value
        stages = tuple(read_stage(text) for text in data["stages"])
        is_break_glass = document["kind"] == Kind.HOLD_BREAK_GLASS
        row = {
            "id": data["vote"],
            "hold": data["hold"],
            "approves": approves,
            "at": at,
        }
        hold = self._holds[data["hold"]]
        if data["digest"] not in hold.named:
            raise ValueError("a vote is on the bytes that its hold has")
        if hold.digest is not None:
            row["digest"] = hold.digest
        if "key" in data:
            row["idempotency_key"] = data["key"]
        voter = payloads.get((entry.sequence, "voter"))
        if voter is not None:
            told = json.loads(voter)
            row |= {"voter": json.dumps(told["voter"]), "account": json.dumps(told["account"])}
            reason = payloads.get((entry.sequence, "reason"), b"").decode()
            owners = data.get("owners", ())
            detail = vote_detail(told["name"], reason, stages, owners, is_break_glass=is_break_glass)
            row["detail"] = json.dumps(detail)
        self._count_vote(entry, hold, Person.of(data, voter), stages)
        return row

    def _count_vote(self, entry: Seen, hold: KnownHold, person: Person, stages: tuple[StageRef, ...]) -> None:
        """The vote moves the hold's row, or the decision that comes of it and follows does."""
        data, at = entry.document["data"], microseconds(entry.document["at"])
        verdict = Verdict.APPROVE if data["verdict"] == Verdict.APPROVE.value else Verdict.REJECT
        is_break_glass = entry.document["kind"] == Kind.HOLD_BREAK_GLASS
        self._say_all(entry, wrong_with_vote(hold, person, verdict, stages))
        voter = ("", person.pseudonym)
        vote = Vote(data["vote"], voter, verdict, data["digest"], seconds(at), stages)
        vote = hold.eyes.counted(vote, person, hold.votes, hold.stands(at))
        hold.votes.append(replace(vote, is_break_glass=is_break_glass))
        hold.version += 1
        hold.changed = entry.sequence
        if is_break_glass:
            hold.review = Review.DUE.value
        hold.wait(at)

    def _acted(self, entry: Seen, payloads: Mapping[Wanted, bytes]) -> dict[str, Any]:
        document, data = entry.document, entry.document["data"]
        at, kind = microseconds(document["at"]), _ACTS[document["kind"]]
        hold = self._holds[data["hold"]]
        if data["digest"] not in hold.named:
            raise ValueError("an act is on the bytes that its hold has")
        row = {"id": data["act"], "hold": data["hold"], "kind": kind.value, "at": at}
        row["idempotency_key"] = data["key"]
        voter = payloads.get((entry.sequence, "voter"))
        if voter is not None:
            told = json.loads(voter)
            row |= {"voter": json.dumps(told["voter"]), "account": json.dumps(told["account"])}
            name = "comment" if kind is ActKind.COMMENT else "reason"
            text = payloads.get((entry.sequence, name), b"").decode()
            until = seconds(microseconds(data["until"])) if "until" in data else None
            revised = None
            if kind in (ActKind.EDIT, ActKind.RESPOND):
                revised = json.loads(payloads[entry.sequence, "detail"])
            taken, owners = data.get("votes", ()), data.get("owners", ())
            detail = act_detail(told["name"], text, taken, until, revised, owners)
            row["detail"] = json.dumps(detail)
        hold.version += 1
        hold.changed = entry.sequence
        if kind is ActKind.REVIEW:
            hold.review = Review.DONE.value
        if kind is ActKind.WITHDRAW:
            self._withdrawn(hold, data, at)
        elif kind in (ActKind.EDIT, ActKind.RESPOND):
            _revised(entry, hold, payloads)
            self._edited(entry, hold, Person.of(data, voter), payloads)
        return row

    def _edited(self, entry: Seen, hold: KnownHold, person: Person, payloads: Mapping[Wanted, bytes]) -> None:
        hold.eyes.editors.append(person)
        if hold.eyes.asked(person):
            self._say(f"entry {entry.sequence}", "is an edit by whoever sent the request")
        self._say_all(entry, wrong_with_bytes(hold, payloads.get((entry.sequence, "forward" + HASH))))

    def _editors_before(self, detail: Mapping[str, Any]) -> list[Person]:
        known = self._holds.get(edited_before(detail) or "")
        return [] if known is None else list(known.eyes.editors)

    def _withdrawn(self, hold: KnownHold, data: Mapping[str, Any], at: int) -> None:
        taken = set(data["votes"])
        if not taken <= {vote.id for vote in hold.votes}:
            raise ValueError("a vote that was taken back was cast before")
        hold.votes = [
            replace(vote, withdrawn_at=seconds(at)) if vote.id in taken else vote for vote in hold.votes
        ]
        if data["state"] == HoldState.PENDING.value and hold.state in OPEN:
            hold.state, hold.deadline = HoldState.PENDING, microseconds(data["deadline"])
            if isinstance(hold.stands(at), Approved):
                raise ValueError("what still has its votes does not pend")
            hold.wait(at)

    def _turned(self, entry: Seen, hold: KnownHold) -> None:
        document, data = entry.document, entry.document["data"]
        hold.version += 1
        hold.changed = entry.sequence
        stands = hold.stands(microseconds(document["at"]))
        if not isinstance(stands, Pending):
            return
        this = (_TURNS[document["kind"]], read_stage(data["stage"]), microseconds(data["due"]))
        told = [(turn.turn, turn.stage, micro(turn.at)) for turn in stands.turns]
        later = told[told.index(this) + 1 :]
        hold.turn_at = later[0][2] if later else None

    def _ended(self, entry: Seen, hold: KnownHold) -> None:
        kind, data = entry.document["kind"], entry.document["data"]
        self._say_all(entry, wrong_with_end(hold, entry.document))
        hold.end(_ENDS[kind])
        hold.changed = entry.sequence
        if kind in (Kind.HOLD_APPROVED, Kind.HOLD_REJECTED):
            hold.deadline = microseconds(data["deadline"])
        else:
            hold.version += 1

    def _say_all(self, entry: Seen, wrong: Iterable[str]) -> None:
        for what in wrong:
            self._say(f"entry {entry.sequence}", what)

    def _released(self, entry: Seen, name: str, payloads: Mapping[Wanted, bytes]) -> None:
        hold = self._holds[name]
        released = payloads.get((entry.sequence, "body" + HASH))
        self._say_all(entry, wrong_with_release(hold, entry.document, released))
        hold.end(HoldState.RELEASED)
        hold.released_to, hold.changed = entry.document["session"], entry.sequence
        hold.version += 1
        self._releasing = (name, entry.document["session"], entry.document["at"])

    def _compare_opened(self, opened: Mapping[str, dict[str, Any]]) -> None:
        names = list(opened)
        for start in range(0, len(names), DIGESTS_AT_ONCE):
            query = select(holds).where(holds.c.id.in_(names[start : start + DIGESTS_AT_ONCE]))
            for row in self._reader.read(query):
                self._say_differing(_named(row.id), dict(row._mapping), opened[row.id])

    def _compare_said(
        self, query: Select[Any], table: Table, what: str, derived: Mapping[int, dict[str, Any]]
    ) -> int:
        """Compare the rows of these entries; how many there are."""
        numbers = list(derived)
        there = 0
        for start in range(0, len(numbers), DIGESTS_AT_ONCE):
            some = numbers[start : start + DIGESTS_AT_ONCE]
            rows = {row.seq: row for row in self._reader.read(query.where(table.c.seq.in_(some)))}
            there += len(rows)
            for number in some:
                name = f"{what} of entry {number}"
                if number not in rows and self._holds[derived[number]["hold"]].is_gone:
                    continue
                if number not in rows:
                    self._say(name, "has an entry, and no row")
                    continue
                self._say_differing(name, dict(rows[number]._mapping), derived[number])
        return there

    def _say_differing(self, name: str, row: Mapping[str, Any], derived: Mapping[str, Any]) -> None:
        for column, value in derived.items():
            if row.get(column) != value:
                self._say(name, f"its column {column} is not what its entries make of it")

    def _rows(self) -> Iterator[Any]:
        columns = [holds.c.id, *(holds.c[name] for name in _CHANGING)]
        after = ""
        while rows := self._reader.read(
            select(*columns).where(holds.c.id > after).order_by(holds.c.id).limit(1000)
        ).all():
            yield from rows
            after = rows[-1].id


def _revised(entry: Seen, hold: KnownHold, payloads: Mapping[Wanted, bytes]) -> None:
    """Other bytes wait; what was voted before counts no longer, and the time begins anew."""
    forward, detail = entry.document["payloads"]["forward"], payloads.get((entry.sequence, "detail"))
    if hold.state is not HoldState.PENDING:
        raise ValueError("what is decided is not edited")
    hold.forward, hold.forward_size = forward["digest"], forward["size"]
    hold.named = frozenset({hold.forward})
    hold.digest = None if detail is None else json.loads(detail)["digest"]
    hold.begun_at = microseconds(entry.document["at"])
    hold.votes = [replace(vote, is_void=True) for vote in hold.votes]
    hold.deadline = microseconds(entry.document["data"]["deadline"])
    hold.wait(hold.begun_at)


def _stored(row: Any, column: str) -> Any:
    return bytes(row.forward).hex() if column == "forward" else getattr(row, column)


def _hold_of(entry: Seen) -> Any:
    """The hold that an entry names, as far as it does."""
    return entry.document["data"].get("hold")


def _named(hold: str) -> str:
    return f"hold {hold}" if hold.isprintable() else "a hold"
