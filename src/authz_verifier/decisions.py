"""Whether what was decided and released follows from the votes on record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from authz_verifier.bundles import Bundle
from authz_verifier.people import Asked, Person, stages_of

SPARE_SECONDS = 300
"""How much longer than its time what may be used once is remembered."""
REVISED = {"x-authz-edited", "x-authz-responded"}
"""Headers of an answer that a reviewer edited or wrote."""


class Decisions:
    """Whether what was decided and let through follows from votes that are on record.

    Derived is who voted, how many, for which stages and on which bytes. People are pseudonyms here, and
    whether each vote came in time is not derived: where the record is verified live both is.

    What follows or not is told as text: "" where nothing is wrong.
    """

    def __init__(self, is_whole: bool) -> None:
        self.is_whole = is_whole
        self.holds: dict[str, Asked] = {}
        self.grants: dict[str, Asked] = {}
        self.used_once: dict[str, tuple[int, int]] = {}
        self.using: tuple[str, str | None] | None = None
        self.settled: tuple[str | None, str, str] | None = None

    def follow(self, document: dict[str, Any], bundle: Bundle) -> None:
        """The next entry that something follows from; what does not is said in its bundle."""
        sequence, kind, data = document["seq"], document["kind"], document["data"]
        if kind.startswith("login."):
            self._login(document, bundle)
            return
        if self.is_whole and (kind == "request.released" or self.using is not None):
            bundle.add(sequence, self._beside_a_use(document))
        if kind in ("request.refused", "request.released"):
            self.settled = (document["session"], document["at"], kind.removeprefix("request."))
        if kind == "hold.opened":
            bundle.add(sequence, self._opened(document, bundle))
        elif kind == "grant.proposed":
            self._proposed(document, bundle)
        elif kind.startswith("grant."):
            bundle.add(sequence, self._of_grant(document))
        elif data.get("hold"):
            bundle.add(sequence, self._of_hold(document, bundle))

    def end(self) -> Iterator[tuple[str, str]]:
        """What is wrong once all entries were followed."""
        if self.is_whole and self.using is not None:
            yield f"grant {self.using[0]}", "has a last use that no release follows"

    def _login(self, document: dict[str, Any], bundle: Bundle) -> None:
        """Assertions, logins and codes are used once each."""
        sequence, data = document["seq"], document["data"]
        at = datetime.fromisoformat(document["at"].replace("Z", "+00:00"))  # noqa: FURB162 - before 3.11
        for digest in data.get("used", ()):
            until, before = self.used_once.get(digest, (0, 0))
            if until > at.timestamp() - SPARE_SECONDS:
                what = f"was used by entry {before}, and by entry {sequence}"
                bundle.add(sequence, what, f"used once {digest}")
            self.used_once[digest] = (int(data["until"]), sequence)

    def _opened(self, document: dict[str, Any], bundle: Bundle) -> str:
        data, forward = document["data"], document["payloads"]["forward"]
        told = _content(document, "detail", bundle)
        hold = Asked(data["person"], set(data.get("approvals", ())), None)
        hold.named = {forward["digest"], data.get("digest", forward["digest"])}
        hold.size = forward["size"]
        if told is not None:
            hold.stages, hold.plain = stages_of(told["approvals"]), told["digest"]
            previous = self.holds.get(told.get("previous") or "")
            if previous is not None and REVISED & told.get("answer", {}).get("headers", {}).keys():
                hold.editors += previous.editors
        self.holds[data["hold"]] = hold
        return _shown(document, "forward", hold, bundle)

    def _proposed(self, document: dict[str, Any], bundle: Bundle) -> None:
        data = document["data"]
        told = _content(document, "detail", bundle)
        terms = None if told is None else json.loads(told["terms"])
        stages = None if terms is None else stages_of(terms["approvals"])
        grant = Asked(data["person"], set(data["approvals"]), stages)
        grant.uses, grant.until = data["uses"], data["until"]
        grant.is_for_one = terms is not None and "caller" in terms["for"]
        self.grants[data["grant"]] = grant

    def _of_hold(self, document: dict[str, Any], bundle: Bundle) -> str:
        kind, data = document["kind"], document["data"]
        hold = self.holds.get(data["hold"])
        if hold is None:
            return "is about a hold that no entry opens" if self.is_whole else ""
        if kind in ("hold.voted", "hold.break_glass"):
            wrong = _vote(hold, data, data["vote"], is_alone=kind == "hold.break_glass")
            return wrong or (
                "" if data["digest"] in hold.named else "is a vote on other bytes than its hold has"
            )
        if kind in ("hold.edited", "hold.responded"):
            return self._edited(hold, document, bundle)
        if kind == "hold.withdrawn":
            return _withdrawn(hold, data)
        if kind in ("hold.approved", "hold.rejected"):
            return _decided(hold, kind, data)
        if kind in ("hold.expired", "hold.superseded", "hold.killed"):
            return self._ended(hold, document)
        if kind in ("request.released", "answer.released"):
            return self._released(hold, document, bundle)
        return ""

    def _edited(self, hold: Asked, document: dict[str, Any], bundle: Bundle) -> str:
        data, forward = document["data"], document["payloads"]["forward"]
        told = _content(document, "detail", bundle)
        wrong = "" if hold.state == "pending" else "edits what was decided before"
        person = Person.of(data)
        if hold.requester in person.names:
            wrong = "is an edit by whoever sent the request"
        hold.votes.clear()
        hold.editors.append(person)
        hold.named, hold.size = {forward["digest"]}, forward["size"]
        hold.plain = "" if told is None else told["digest"]
        return wrong or _shown(document, "forward", hold, bundle)

    def _ended(self, hold: Asked, document: dict[str, Any]) -> str:
        data, was = document["data"], hold.state
        hold.state = "ended"
        if was not in ("pending", "approved"):
            return "ends a hold that has ended before"
        if self.is_whole and "why" in data and self.settled != (data["by"], document["at"], data["why"]):
            return "ends a hold for what became of a session, which is not on record"
        return ""

    def _released(self, hold: Asked, document: dict[str, Any], bundle: Bundle) -> str:
        is_approved = hold.state == "approved" and document["at"] < hold.until and hold.has_votes()
        hold.state = "released"
        if not is_approved:
            return "releases what is not approved, or was released before"
        if document["kind"] == "answer.released":
            return ""
        if document["payloads"]["body"]["size"] != hold.size:
            return "has other bytes than its hold"
        return _shown(document, "body", hold, bundle)

    def _of_grant(self, document: dict[str, Any]) -> str:
        kind, data = document["kind"], document["data"]
        grant = self.grants.get(data["grant"])
        if kind == "grant.used":
            self.using = (data["grant"], document["session"])
        if grant is None:
            return "is about a grant that no entry proposes" if self.is_whole else ""
        was = grant.state
        if kind == "grant.voted":
            return _vote(grant, {**data, "verdict": "approve"}, data["act"], is_alone=False)
        if kind == "grant.created":
            grant.state = "approved"
            is_good = was == "pending" and grant.has_votes()
            return "" if is_good else "puts a grant in force that has not the votes for it"
        if kind == "grant.revoked":
            grant.state = "ended"
        elif kind == "grant.used":
            grant.size += 1
            if data["number"] != grant.size or grant.size > grant.uses:
                return "uses a grant more often than it was made for, or leaves a use out"
            if was != "approved" or document["at"] >= grant.until:
                return "uses a grant that is not in force"
            return _used_by(grant, data) if "person" in data else ""
        return ""

    def _beside_a_use(self, document: dict[str, Any]) -> str:
        """A use and the release that it is for stand next to each other, and neither alone."""
        is_release = document["kind"] == "request.released"
        released = (document["data"].get("grant"), document["session"]) if is_release else (None, None)
        using, self.using = self.using, None
        if released[0] is not None and released != using:
            return "is a release under a grant, and no use of it"
        if using is not None and released != using:
            return "is no release, and a use of a grant comes before it"
        return ""


def _content(document: dict[str, Any], name: str, bundle: Bundle) -> dict[str, Any] | None:
    """A payload of an entry, which is JSON; None where it is not there."""
    reference = document["payloads"].get(name, {})
    _, content = bundle.contents.get(reference.get("digest", ""), ("", b""))
    return json.loads(content) if content else None


def _shown(document: dict[str, Any], name: str, hold: Asked, bundle: Bundle) -> str:
    """Reviewers were shown these very bytes, and these were released."""
    plain, _ = bundle.contents.get(document["payloads"][name]["digest"], ("", b""))
    is_other = plain and hold.plain and plain != hold.plain
    return "has other bytes than reviewers were shown" if is_other else ""


def _vote(asked: Asked, data: dict[str, Any], name: str, *, is_alone: bool) -> str:
    wrong = "" if asked.state == "pending" else "is a vote on what was decided before"
    person = Person.of(data)
    if asked.requester in person.names:
        wrong = "is a vote of whoever sent the request"
    elif data["verdict"] == "approve" and not asked.may_approve(person, data["stages"]):
        wrong = "approves what the same person edited or answered"
    told = {part: data[part] for part in ("verdict", "stages")}
    asked.votes[name] = {**told, "is_alone": is_alone, "person": person}
    return wrong


def _used_by(grant: Asked, data: dict[str, Any]) -> str:
    if Person.of(data).is_any_of(vote["person"] for vote in grant.votes.values()):
        return "is a use of a grant by one who voted for it"
    is_for_them = data["person"] == grant.requester or not grant.is_for_one
    return "" if is_for_them else "is a use of a grant that is for somebody else"


def _withdrawn(hold: Asked, data: dict[str, Any]) -> str:
    for vote in data["votes"]:
        if hold.votes.pop(vote, None) is None:
            return "takes a vote back that was not cast before"
    if data["state"] == "pending" and hold.state == "approved":
        hold.state = "pending"
    return ""


def _decided(hold: Asked, kind: str, data: dict[str, Any]) -> str:
    was, hold.until = hold.state, data["deadline"]
    hold.state = "approved" if kind == "hold.approved" else "rejected"
    if data["digest"] not in hold.named:
        return "decides on other bytes than its hold has"
    if was != "pending":
        return "decides on a hold that was decided before"
    if hold.state == "approved":
        return "" if hold.has_votes() else "approves a hold that has not the votes for it"
    is_said = any(vote["verdict"] == "reject" for vote in hold.votes.values())
    return "" if is_said else "rejects a hold without the votes for it"
