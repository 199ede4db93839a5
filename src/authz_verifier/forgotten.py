"""What may be missing: purges and erasures that are on record as tombstones."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from authz_verifier.errors import DAMAGE, CannotVerify, said
from authz_verifier.tree import leaf_hash

STANDING = {
    "policy.activated",
    "log.key_created",
    "log.key_rotated",
    "token.revoked",
    "token.restored",
    "api_key.created",
    "api_key.rotated",
    "api_key.revoked",
    "record.accepted",
    "record.master_key_rotated",
    "record.purged",
    "record.kept",
    "record.keep_lifted",
    "record.erasure_ordered",
    "record.erased",
}
"""Kinds of entries that no purge takes anything from."""
TOMBSTONES = {"record.purged", "record.erasure_ordered", "record.erased"}
"""Kinds of entries that the file has all of; without the end of an erasure it would seem to be under way."""
OF_LOG = {"log.key_rotated", "record.accepted"}
"""Kinds of entries about keys and checkpoints; the file has them for exports of a range."""
OF_STANDING = {"revoked": "subject", "key": "subject", "operator": "operator", "order": "orderer"}
"""Where those say by pseudonym whom a payload of theirs is about."""
OF_REVIEW = ("hold.", "grant.")
"""What kinds of entries about holds and grants begin with."""
DONE_BY = {"session.read": "reader", "session.searched": "reader", "session.killed": "operator"}
"""Where these say by pseudonym who did it, whom all their payloads are about; those of before do not."""
ORIGINAL = "original"
"""The name of a payload that has what was there before masking; no export has any."""


class Taken:
    """What purges of one class took; to ask it takes no look at each of them, and there may be many.

    A batch is a range of entries but for what is passed over, or what others had passed over: sessions, and
    the numbers of entries that have none.
    """

    def __init__(self) -> None:
        self.lasts: list[int] = []
        self.ranges: list[tuple[int, set[str | int]]] = []
        self.later: dict[str | int, int] = {}
        self.latest = 0

    def add(self, sequence: int, data: dict[str, Any]) -> None:
        """One batch; ranges come in order, as they were made."""
        for passed in data["only"]:
            self.later[passed] = self.latest = sequence
        first, last = int(data["first"]), int(data["last"])
        if not data["only"] and (not self.lasts or self.lasts[-1] < first):
            self.lasts.append(last)
            self.ranges.append((first, set(data["but"])))

    def has(self, sequence: int, session: str | None) -> bool:
        """Whether one of them took what this entry has of the class."""
        if sequence < self.later.get(session or "", 0) or sequence < self.later.get(sequence, 0):
            return True
        index = bisect_left(self.lasts, sequence)
        if index == len(self.ranges):
            return False
        first, but = self.ranges[index]
        return first <= sequence and but.isdisjoint((session, sequence))

    def may_have(self, sequence: int) -> bool:
        """The same of an entry of which the session is not known."""
        index = bisect_left(self.lasts, sequence)
        return sequence < self.latest or (index < len(self.ranges) and self.ranges[index][0] <= sequence)


@dataclass
class Erasure:
    """Of the person with these pseudonyms: the entries that ordered and ended it."""

    ordered: int
    subjects: set[str]
    done: float = math.inf
    """Until it is, what is said since the order may be lost with the keys as well."""


class Tombstones:
    """What entries about retention say was let go of; each is held against the tree like any other.

    They go with an export apart from the others, since they account for what came before them.
    """

    def __init__(self, folder: Path) -> None:
        self.leaves: dict[int, list[bytes]] = {}
        """The hashes of all lines with this number, of which each has to be the tree's."""
        self.purges = 0
        self.erased: dict[str, float] = {}
        """Up to which entry their payloads may be gone, of whom was erased."""
        self.callers: dict[str, str] = {}
        self.of_log: list[dict[str, Any]] = []
        self._taken = {"entries": Taken(), "payloads": Taken(), "originals": Taken()}
        self._emptied = 0
        self._erasures: list[Erasure] = []
        others: list[dict[str, Any]] = []
        try:
            with (folder / "tombstones.jsonl").open("rb") as lines:
                for line in lines:
                    document = json.loads(line)
                    if type(document["seq"]) is not int:  # 1.0 and true are the same key as 1
                        raise ValueError
                    self.leaves.setdefault(document["seq"], []).append(leaf_hash(line.removesuffix(b"\n")))
                    self._take(document["seq"], document["kind"], document["data"])
                    if document["kind"] == "request.received":
                        others.append(document)
                    elif document["kind"] in OF_LOG:
                        self.of_log.append(document)
            for erasure in self._erasures:
                for subject in erasure.subjects:
                    self.erased[subject] = max(self.erased.get(subject, 0), erasure.done)
            for document in others:
                self.follow(document)
        except FileNotFoundError:
            return
        except (OSError, *DAMAGE) as error:
            raise CannotVerify(f"tombstones.jsonl cannot be read ({said(error)})") from error

    def follow(self, document: dict[str, Any]) -> None:
        """Remember the sessions of whom was erased."""
        if document["kind"] == "request.received" and document["data"].get("caller") in self.erased:
            self.callers[document["session"]] = document["data"]["caller"]

    def took_entry(self, sequence: int) -> bool:
        """Whether a purge of entries may have taken this one; its session is not known any more."""
        return self._taken["entries"].may_have(sequence)

    def says_taken(self, sequence: int, document: dict[str, Any]) -> bool:
        """Whether a purge of entries took this one, whose bytes are there."""
        is_standing = document["kind"] in STANDING
        return not is_standing and self._taken["entries"].has(sequence, document["session"])

    def emptied(self) -> int:
        """How many entries have lost their bytes: what covers one says nothing of its session."""
        return self._emptied

    def under_way(self) -> list[int]:
        """The entries that ordered erasures which have not ended."""
        return [erasure.ordered for erasure in self._erasures if erasure.done == math.inf]

    def took_payload(self, sequence: int, name: str, document: dict[str, Any]) -> str:
        """Why a payload of this entry is not there: `purged`, `left out`, `erased` as far as can be known."""
        if self.purged_payload(sequence, name, document):
            return "purged"
        if name == ORIGINAL and document["kind"] not in STANDING:
            return "left out"
        whose = self._whose(name, document)
        is_erased = isinstance(whose, str) and whose != "" and sequence <= self.erased.get(whose, 0)
        return "erased" if is_erased else ""

    def _whose(self, name: str, document: dict[str, Any]) -> object:
        """Whom a payload is about, by pseudonym: mostly whose session it is."""
        kind, data, caller = document["kind"], document["data"], self.callers.get(document["session"])
        if kind in STANDING:
            return data.get(OF_STANDING.get(name, ""))
        if kind.startswith(OF_REVIEW) and name == "voter":
            return data.get("voter")
        if kind.startswith("login."):
            return data.get("caller")
        if kind == "record.exported":
            return data.get("reader")
        if kind == "notification.retried":
            return data.get("operator", caller)
        if kind in DONE_BY:
            # One of before names nobody: it may be of any of those who were erased.
            return data.get(DONE_BY[kind], max(self.erased, key=lambda one: self.erased[one], default=None))
        return caller

    def concerns(self, kind: str, data: dict[str, Any]) -> bool:
        """Whether an entry begins a session of whom was erased."""
        return bool(self.erased) and kind == "request.received" and data.get("caller") in self.erased

    def purged_payload(self, sequence: int, name: str, document: dict[str, Any]) -> bool:
        """Whether a purge took this payload; those of entries take all that these account for."""
        if document["kind"] in STANDING:
            return False
        classes = ("payloads", "entries", "originals") if name == ORIGINAL else ("payloads", "entries")
        return any(self._taken[of].has(sequence, document["session"]) for of in classes)

    def _take(self, sequence: int, kind: str, data: dict[str, Any]) -> None:
        if kind == "record.purged":
            self.purges += 1
            self._taken[data["class"]].add(sequence, data)
            self._emptied += int(data["entries"]) if data["class"] == "entries" else 0
        elif kind == "record.erasure_ordered":
            self._erasures.append(Erasure(sequence, {data["subject"], *data.get("also", ())}))
        elif kind == "record.erased":
            self._end(sequence, int(data["ordered"]))

    def _end(self, sequence: int, ordered: int) -> None:
        """An erasure is done, and with it those that were ordered before of nobody else."""
        subjects = {name for e in self._erasures if e.ordered == ordered for name in e.subjects}
        for erasure in self._erasures:
            if erasure.ordered <= ordered and erasure.subjects <= subjects:
                erasure.done = min(erasure.done, sequence)
