"""The rows of `grants`, `grant_acts` and `grant_uses` held against what the entries make of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Table, func, select

from authz_service.audit.columns import clean
from authz_service.audit.draft import Kind
from authz_service.audit.entry import microseconds
from authz_service.audit.forgotten import Forgotten
from authz_service.audit.retention import Retention
from authz_service.audit.walk import Seen
from authz_service.core.grants import GrantState, OneCaller
from authz_service.core.holds import Approved, StageRef, Standing, Verdict, Vote
from authz_service.store.column_texts import read_stage, seconds
from authz_service.store.grant_documents import beneficiary_text, read_terms
from authz_service.store.grant_rows import REVOKE, VOTE, act_detail, stands_by
from authz_service.store.record_reader import DIGESTS_AT_ONCE, RecordReader
from authz_service.store.schema import grant_acts, grant_uses, grants, sessions
from authz_service.store.verify_columns import say_differing
from authz_service.store.verify_eyes import Eyes, Person
from authz_service.store.verify_hold_acts import said_in
from authz_service.store.verify_holds import HoldsCheck
from authz_service.store.verify_payloads import Say, Wanted
from authz_service.store.verify_standing import has_some

_KINDS = {Kind.GRANT_VOTED.value: VOTE, Kind.GRANT_REVOKED.value: REVOKE}
_OF_GRANTS = frozenset(
    {*_KINDS, *(k.value for k in (Kind.GRANT_PROPOSED, Kind.GRANT_CREATED, Kind.GRANT_USED))}
)
_Row = dict[str, Any]


@dataclass(slots=True)
class _Grant:
    """What its row has to say; `is_gone` where a tombstone says that its rows were taken.

    With `is_going` they may be there or not.
    """

    row: _Row
    is_gone: bool
    is_going: bool
    asks: frozenset[str]
    """The names of the approvals that it asks for."""
    eyes: Eyes
    is_for_one: bool = False
    """It is for whoever sent the request that it was made from, and for nobody else."""
    votes: list[Vote] = field(default_factory=list)

    def has_votes(self, at: int) -> bool:
        """Whether it has those that it asks for; where nothing says how many, one for each approval."""
        stands = self.stands(at)
        if stands is None:
            return has_some(self.votes, Verdict.APPROVE, self.asks)
        return isinstance(stands, Approved)

    def stands(self, at: int) -> Standing | None:
        """Where its votes stand; None where nothing says how many it asks for."""
        if "detail" not in self.row:
            return None
        return stands_by(self.row["detail"], self.votes, created_at=self.row["created_at"], now=at)


class GrantsCheck:
    """Feed `page` with all entries in order, then ask `end`.

    In memory is what there is of grants, which people make: few beside what goes through. `holds` has seen
    the entries of a page before.
    """

    def __init__(self, reader: RecordReader, say: Say, forgotten: Forgotten, holds: HoldsCheck) -> None:
        self._reader, self._say, self._forgotten, self._holds = reader, say, forgotten, holds
        self._has_purged_entries = any(p.retention is Retention.ENTRIES for p in forgotten.purges)
        self._grants: dict[str, _Grant] = {}
        self._acts: dict[int, _Row] = {}
        self._uses: dict[int, _Row] = {}
        self._using: tuple[str, str] | None = None
        self._users: dict[int, str] = {}

    def page(self, seen: Sequence[Seen], payloads: Mapping[Wanted, bytes]) -> None:
        """Follow what these entries do to grants."""
        for entry in seen:
            kind = entry.document["kind"]
            if self._using is not None or kind == Kind.REQUEST_RELEASED:
                self._follow_release(entry)
            if kind not in _OF_GRANTS:
                continue
            try:
                self._follow(entry, payloads)
            except (KeyError, ValueError, TypeError):
                if self._has_purged_entries and entry.document["data"].get("grant") not in self._grants:
                    continue  # the entry that it was proposed with has gone before
                self._say(f"entry {entry.sequence}", "does not say what became of its grant")

    def end(self) -> None:
        """Compare all rows; there may be no others."""
        self._compare_users()
        if self._using is not None:
            self._say(f"grant {self._using[0]}", "has a last use that no release follows")
        known = {name: grant.row for name, grant in self._grants.items() if not grant.is_gone}
        all_going = {name for name, grant in self._grants.items() if grant.is_going}
        self._compare(grants, "grant", "id", known, all_going)
        for table, what, said in ((grant_acts, "act", self._acts), (grant_uses, "use", self._uses)):
            left = {seq: row for seq, row in said.items() if not self._grants[row["grant_id"]].is_gone}
            going = {seq for seq, row in left.items() if self._grants[row["grant_id"]].is_going}
            self._compare(table, f"grant's {what} of entry", "seq", left, going)

    def _follow(self, entry: Seen, payloads: Mapping[Wanted, bytes]) -> None:
        kind, data = entry.document["kind"], entry.document["data"]
        if kind == Kind.GRANT_PROPOSED:
            self._proposed(entry, payloads)
            return
        if kind == Kind.GRANT_USED:
            self._using = (data["grant"], entry.document["session"])
        grant = self._grants[data["grant"]]
        if kind in _KINDS:
            self._acted(entry, grant, payloads)
        elif kind == Kind.GRANT_CREATED:
            self._created(entry, grant)
        else:
            self._used(entry, grant)
        grant.row["changed"] = entry.sequence

    def _proposed(self, entry: Seen, payloads: Mapping[Wanted, bytes]) -> None:
        document, data = entry.document, entry.document["data"]
        row: _Row = {
            "id": data["grant"],
            "seq": entry.sequence,
            "changed": entry.sequence,
            "state": GrantState.PROPOSED.value,
            "hold": data["hold"],
            "uses": data["uses"],
            "used": 0,
            "until": microseconds(data["until"]),
            "created_at": microseconds(document["at"]),
            "deadline": microseconds(data["deadline"]),
        }
        detail = payloads.get((entry.sequence, "detail"))
        is_for_one = False
        if detail is not None:
            terms = read_terms(json.loads(detail)["terms"])
            of, is_for_one = beneficiary_text(terms.beneficiary), isinstance(terms.beneficiary, OneCaller)
            row |= {"detail": detail.decode(), "beneficiary": of, "model": clean(terms.model)}
        # A grant goes with the hold that it was made from.
        is_being_erased = self._forgotten.is_being_erased(data["person"], data["opened"])
        is_going = is_being_erased and not self._holds.has_row(data["hold"])
        is_gone = not is_being_erased and self._forgotten.took_payloads(
            data["opened"], document["session"], data["person"]
        )
        asked = self._holds.eyes(data["hold"])
        eyes = Eyes(data["person"], None if asked is None else asked.caller)
        asks = frozenset(data["approvals"])
        self._grants[data["grant"]] = _Grant(row, is_gone, is_going, asks, eyes, is_for_one)

    def _created(self, entry: Seen, grant: _Grant) -> None:
        is_proposed = grant.row["state"] == GrantState.PROPOSED.value
        if not is_proposed or not grant.has_votes(microseconds(entry.document["at"])):
            self._say(f"entry {entry.sequence}", "puts a grant in force that has not the votes for it")
        grant.row["state"] = GrantState.ACTIVE.value

    def _count_vote(self, entry: Seen, grant: _Grant, person: Person, stages: Sequence[StageRef]) -> None:
        data, at = entry.document["data"], microseconds(entry.document["at"])
        if grant.row["state"] != GrantState.PROPOSED.value:
            self._say(f"entry {entry.sequence}", "is a vote for a grant that was decided before")
        if grant.eyes.asked(person):
            self._say(f"entry {entry.sequence}", "is a vote of whoever sent the request")
        voter = ("", person.pseudonym)
        vote = Vote(data["act"], voter, Verdict.APPROVE, "", seconds(at), tuple(stages))
        grant.votes.append(grant.eyes.counted(vote, person, grant.votes, grant.stands(at)))

    def _acted(self, entry: Seen, grant: _Grant, payloads: Mapping[Wanted, bytes]) -> None:
        document, data = entry.document, entry.document["data"]
        kind = _KINDS[document["kind"]]
        row: _Row = {
            "seq": entry.sequence,
            "id": data["act"],
            "grant_id": data["grant"],
            "hold": grant.row["hold"],
            "kind": kind,
            "idempotency_key": data["key"],
            "at": microseconds(document["at"]),
        }
        voter = payloads.get((entry.sequence, "voter"))
        stages = [read_stage(text) for text in data.get("stages", ())]
        if voter is not None:
            told = json.loads(voter)
            reason = said_in(entry, "reason", payloads)
            row |= {"voter": json.dumps(told["voter"]), "account": json.dumps(told["account"])}
            killed, owners = data.get("killed"), data.get("owners", ())
            if reason is not None:
                row["detail"] = act_detail(kind, told["name"], reason, stages, killed, owners)
        self._acts[entry.sequence] = row
        if kind == REVOKE:
            grant.row["state"] = GrantState.REVOKED.value
        else:
            self._count_vote(entry, grant, Person.of(data, voter), stages)
            grant.row["deadline"] = microseconds(data["deadline"])

    def _used(self, entry: Seen, grant: _Grant) -> None:
        document, data, row = entry.document, entry.document["data"], grant.row
        at, name = microseconds(document["at"]), f"grant {row['id']}"
        row["used"] += 1
        if data["number"] != row["used"] or row["used"] > row["uses"]:
            self._say(name, f"has more uses than it was made for, or not all of them: entry {entry.sequence}")
        if row["state"] != GrantState.ACTIVE.value or at >= row["until"]:
            self._say(name, f"was used while it was not in force: entry {entry.sequence}")
        self._used_by(entry, grant)
        self._uses[entry.sequence] = {
            "seq": entry.sequence,
            "grant_id": data["grant"],
            "number": data["number"],
            "session": document["session"],
            "at": at,
        }

    def _used_by(self, entry: Seen, grant: _Grant) -> None:
        """It is for who it was made for, and of no use to those who voted for it."""
        person, where = Person.using(entry.document["data"]), f"entry {entry.sequence}"
        if person is None:
            return
        self._users[entry.sequence] = person.pseudonym
        if grant.is_for_one and person.pseudonym != grant.eyes.requester:
            self._say(where, "is a use of a grant that is for somebody else")
        if person.is_any_of(grant.eyes.voters.values()):
            self._say(where, "is a use of a grant by one who voted for it")

    def _compare_users(self) -> None:
        """Who used a grant is whose session it is; there may be no row of one whose entries were purged."""
        uses = [(seq, self._uses[seq]["session"]) for seq in self._users]
        for start in range(0, len(uses), DIGESTS_AT_ONCE):
            some = uses[start : start + DIGESTS_AT_ONCE]
            query = select(sessions.c.id, sessions.c.caller).where(sessions.c.id.in_([s for _, s in some]))
            callers = {row.id: row.caller for row in self._reader.read(query)}
            for seq, session in some:
                if callers.get(session, self._users[seq]) != self._users[seq]:
                    self._say(
                        f"entry {seq}", "is a use of a grant by somebody else than its session's caller"
                    )

    def _follow_release(self, entry: Seen) -> None:
        """A use and the release that it is for stand next to each other, and neither alone."""
        document = entry.document
        is_release = document["kind"] == Kind.REQUEST_RELEASED
        released = (document["data"].get("grant"), document["session"]) if is_release else (None, None)
        if released[0] is not None and released != self._using:
            self._say(f"entry {entry.sequence}", "is a release under a grant, and no use of it")
        elif self._using is not None and released != self._using:
            self._say(f"entry {entry.sequence - 1}", "is a use of a grant, and no release follows it")
        self._using = None

    def _compare(
        self, table: Table, what: str, key: str, derived: Mapping[Any, _Row], going: Collection[Any]
    ) -> None:
        left = dict(derived)
        strays = 0
        for row in self._rows(table):
            expected = left.pop(row[key], None)
            if expected is None:
                strays += 1
                continue
            say_differing(self._say, f"{what} {row[key]}", row, expected)
        for name in left.keys() - going:
            self._say(f"{what} {name}", "has an entry, and no row")
        if strays:
            self._say(table.name, f"{strays} are there that no entry tells of")

    def _rows(self, table: Table) -> Iterator[Mapping[str, Any]]:
        column = table.c.seq
        after = -1
        while rows := self._reader.read(
            select(table).where(column > after).order_by(column).limit(1000)
        ).all():
            yield from (dict(row._mapping) for row in rows)
            after = rows[-1].seq
        strays = self._reader.read(select(func.count()).select_from(table).where(column < 0)).scalar_one()
        if strays:
            self._say(table.name, f"{strays} have a number below 0")
