"""The rows of `holds` and `votes` held against what the entries make of them.

What never changes in a row is compared when its hold opens; what does, at the end. In memory is, for each
hold, as much as it takes to say how it stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Integer, func, select, type_coerce

from authz_service.audit.columns import clean
from authz_service.audit.draft import Kind
from authz_service.audit.entry import microseconds
from authz_service.audit.forgotten import Forgotten
from authz_service.audit.retention import Retention
from authz_service.audit.walk import Seen
from authz_service.core.holds import Approval, Pending, StageRef, Verdict, Vote, standing
from authz_service.core.ports import HoldState
from authz_service.store.hold_rows import (
    identity_text,
    micro,
    read_approvals,
    read_caller,
    seconds,
    vote_detail,
)
from authz_service.store.record_reader import DIGESTS_AT_ONCE, RecordReader
from authz_service.store.schema import holds, votes
from authz_service.store.verify_payloads import Say, Wanted

_CHANGING = ("version", "changed", "state", "deadline", "released_to")
# As stored: read as a Boolean, any number would do for true.
_VOTES = select(
    *(c for c in votes.c if c.name != "approves"), type_coerce(votes.c.approves, Integer).label("approves")
)
_ENDS = {
    Kind.HOLD_APPROVED.value: HoldState.APPROVED,
    Kind.HOLD_REJECTED.value: HoldState.REJECTED,
    Kind.HOLD_EXPIRED.value: HoldState.EXPIRED,
    Kind.HOLD_SUPERSEDED.value: HoldState.SUPERSEDED,
}


@dataclass(slots=True)
class _Hold:
    """How a hold stands; `deadline` is None where nothing says what the hold was opened under."""

    opened_at: int
    changed: int
    deadline: int | None
    forward: str
    digest: str | None
    approvals: tuple[Approval, ...] | None
    is_gone: bool = False
    """Whether a tombstone says that its row, and those of its votes, were taken."""
    version: int = 1
    state: HoldState = HoldState.PENDING
    released_to: str | None = None
    votes: list[Vote] = field(default_factory=list)


class HoldsCheck:
    """Feed `page` with all entries in order, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say, forgotten: Forgotten) -> None:
        self._reader, self._say, self._forgotten = reader, say, forgotten
        self._has_purged_entries = any(p.retention is Retention.ENTRIES for p in forgotten.purges)
        self._holds: dict[str, _Hold] = {}
        self._votes = 0
        self._releasing: tuple[str, str, str] | None = None

    def page(self, seen: Sequence[Seen], payloads: Mapping[Wanted, bytes]) -> None:
        """Follow what these entries do to holds; compare the rows that begin with them."""
        opened: dict[str, dict[str, Any]] = {}
        voted: dict[int, dict[str, Any]] = {}
        for entry in seen:
            try:
                self._follow(entry, payloads, opened, voted)
            except (KeyError, ValueError, TypeError):
                if self._has_purged_entries and _hold_of(entry) not in self._holds:
                    continue  # the entry that it was opened with has gone before
                self._say(f"entry {entry.sequence}", "does not say what became of its hold")
        self._compare_opened(opened)
        self._compare_votes(voted)

    def end(self) -> None:
        """Compare how holds stand; there may be no other rows."""
        for row in self._rows():
            derived = self._holds.pop(row.id, None)
            if derived is None:
                self._say(_named(row.id), "has a row, and no entry that it opens with")
                continue
            for column in _CHANGING:
                value = getattr(derived, column)
                is_known = value is not None or column != "deadline"
                if is_known and getattr(row, column) != value:
                    self._say(_named(row.id), f"its column {column} is not what its entries make of it")
        for name, hold in self._holds.items():
            if not hold.is_gone:
                self._say(_named(name), "has entries, and no row")
        there = self._reader.read(select(func.count()).select_from(votes)).scalar_one()
        if there > self._votes:
            self._say("votes", f"{there - self._votes} are there that no entry tells of")

    def _follow(
        self,
        entry: Seen,
        payloads: Mapping[Wanted, bytes],
        opened: dict[str, dict[str, Any]],
        voted: dict[int, dict[str, Any]],
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
        elif kind == Kind.HOLD_VOTED:
            voted[entry.sequence] = self._voted(entry, payloads)
        elif kind in _ENDS:
            self._ended(entry, self._holds[data["hold"]])
        elif kind in (Kind.REQUEST_RELEASED, Kind.ANSWER_RELEASED) and data.get("hold"):
            self._released(entry, data["hold"])

    def _opened(self, entry: Seen, payloads: Mapping[Wanted, bytes]) -> dict[str, Any]:
        document, data = entry.document, entry.document["data"]
        at, deadline = microseconds(document["at"]), microseconds(data["deadline"])
        forward = document["payloads"]["forward"]
        row = {
            "id": data["hold"],
            "seq": entry.sequence,
            "created_at": at,
            "session": document["session"],
            "forward": bytes.fromhex(forward["digest"]),
            "forward_size": forward["size"],
            "rule": clean(data["rule"]),
        }
        approvals = None
        detail = payloads.get((entry.sequence, "detail"))
        if detail is not None:
            told = json.loads(detail)
            caller = read_caller(told["caller"], claims={}, expires_at=0.0)
            row |= {
                "identity": identity_text(caller.identity),
                "subject": clean(caller.subject),
                "model": clean(told["model"]),
                "detail": detail.decode(),
                "fingerprint": told["fingerprint"],
                "digest": told["digest"],
            }
            approvals = read_approvals(told["approvals"])
        is_gone = self._forgotten.took_payloads(entry.sequence, document["session"], data["person"])
        self._holds[data["hold"]] = _Hold(
            at, entry.sequence, deadline, forward["digest"], row.get("digest"), approvals, is_gone
        )
        return row

    def _voted(self, entry: Seen, payloads: Mapping[Wanted, bytes]) -> dict[str, Any]:
        document, data = entry.document, entry.document["data"]
        at = microseconds(document["at"])
        approves = data["verdict"] == Verdict.APPROVE.value
        stages = tuple(_stage(text) for text in data["stages"])
        row = {
            "id": data["vote"],
            "hold": data["hold"],
            "approves": approves,
            "at": at,
        }
        hold = self._holds[data["hold"]]
        if data["digest"] != hold.forward:
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
            row["detail"] = json.dumps(vote_detail(told["name"], reason, stages))
        self._count_vote(entry.sequence, hold, data, at, approves, stages)
        return row

    def _count_vote(
        self,
        sequence: int,
        hold: _Hold,
        data: Mapping[str, Any],
        at: int,
        approves: bool,
        stages: tuple[StageRef, ...],
    ) -> None:
        """The vote moves the hold's row, or the decision that comes of it and follows does."""
        verdict = Verdict.APPROVE if approves else Verdict.REJECT
        hold.votes.append(
            Vote(data["vote"], ("", data["voter"]), verdict, data["digest"], seconds(at), stages, "", "")
        )
        hold.version += 1
        hold.changed = sequence
        if hold.approvals is None:
            hold.deadline = None
            return
        stands = standing(hold.approvals, hold.votes, opened_at=seconds(hold.opened_at), now=seconds(at))
        if isinstance(stands, Pending):
            hold.deadline = micro(stands.deadline)

    def _ended(self, entry: Seen, hold: _Hold) -> None:
        kind, data = entry.document["kind"], entry.document["data"]
        hold.state, hold.changed = _ENDS[kind], entry.sequence
        if kind in (Kind.HOLD_APPROVED, Kind.HOLD_REJECTED):
            hold.deadline = microseconds(data["deadline"])
        else:
            hold.version += 1

    def _released(self, entry: Seen, name: str) -> None:
        hold = self._holds[name]
        hold.state, hold.released_to, hold.changed = (
            HoldState.RELEASED,
            entry.document["session"],
            entry.sequence,
        )
        hold.version += 1
        self._releasing = (name, entry.document["session"], entry.document["at"])

    def _compare_opened(self, opened: Mapping[str, dict[str, Any]]) -> None:
        names = list(opened)
        for start in range(0, len(names), DIGESTS_AT_ONCE):
            query = select(holds).where(holds.c.id.in_(names[start : start + DIGESTS_AT_ONCE]))
            for row in self._reader.read(query):
                self._say_differing(_named(row.id), dict(row._mapping), opened[row.id])

    def _compare_votes(self, voted: Mapping[int, dict[str, Any]]) -> None:
        numbers = list(voted)
        for start in range(0, len(numbers), DIGESTS_AT_ONCE):
            some = numbers[start : start + DIGESTS_AT_ONCE]
            rows = {row.seq: row for row in self._reader.read(_VOTES.where(votes.c.seq.in_(some)))}
            self._votes += len(rows)
            for number in some:
                name = f"vote of entry {number}"
                if number not in rows and self._holds[voted[number]["hold"]].is_gone:
                    continue
                if number not in rows:
                    self._say(name, "has an entry, and no row")
                    continue
                self._say_differing(name, dict(rows[number]._mapping), voted[number])

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


def _hold_of(entry: Seen) -> Any:
    """The hold that an entry names, as far as it does."""
    return entry.document["data"].get("hold")


def _stage(text: str) -> StageRef:
    approval, _, stage = text.rpartition("/")
    return StageRef(approval, int(stage))


def _named(hold: str) -> str:
    return f"hold {hold}" if hold.isprintable() else "a hold"
