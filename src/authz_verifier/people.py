"""People, and what is asked of them: votes, stages, holds and proposals as the entries have them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Person:
    """Who did something, by pseudonyms: `names` are their own and those of whoever owns the account.

    `owners` are these alone; `typed` is what somebody types who names this person as an owner.
    """

    names: frozenset[str]
    owners: frozenset[str]
    typed: frozenset[str]

    @classmethod
    def of(cls, data: dict[str, Any]) -> Person:
        """By the data of an entry."""
        owners = frozenset(data.get("owners", ()))
        who = data["voter"] if "voter" in data else data["person"]
        return cls(owners | {who}, owners, frozenset(data.get("typed", ())))

    def is_any_of(self, others: Iterable[Person]) -> bool:
        """Whether this is the same person as one of them."""
        return any(
            self.names & other.names or self.typed & other.owners or other.typed & self.owners
            for other in others
        )


@dataclass
class Asked:
    """What a hold or a grant asks for, and who has said what of it.

    `stages` has for each approval how many votes each stage asks for, and whether who edited may approve;
    None where the payload that says so is not there. `named` are the names that entries have for the bytes,
    `plain` is their SHA-256.
    """

    requester: str
    approvals: set[str]
    stages: dict[str, list[tuple[int, bool]]] | None
    named: set[str] = field(default_factory=set)
    size: int = 0
    plain: str = ""
    uses: int = 0
    until: str = ""
    is_for_one: bool = False
    state: str = "pending"
    votes: dict[str, dict[str, Any]] = field(default_factory=dict)
    editors: list[Person] = field(default_factory=list)

    def has_votes(self) -> bool:
        """Whether those that stand are enough, each by somebody else, in the order of the stages."""
        votes = list(self.votes.values())
        if any(vote["verdict"] != "approve" for vote in votes):
            return False
        if any(vote["is_alone"] for vote in votes):
            return True
        if self.stages is None:
            first = {
                stage.split("/")[0] for v in votes for stage in v["stages"] if stage.split("/")[1] == "0"
            }
            return bool(votes) and self.approvals <= first
        return bool(self.stages) and all(goes_through(n, s, votes) for n, s in self.stages.items())

    def may_approve(self, person: Person, stages: list[str]) -> bool:
        """Whether four eyes see it: what somebody edited they approve in stages that say so."""
        if not person.is_any_of(self.editors):
            return True
        if not stages or self.stages is None:
            return bool(stages)
        places = [stage.split("/") for stage in stages]
        return all(self.stages[place[0]][int(place[1])][1] for place in places)


def goes_through(name: str, stages: list[tuple[int, bool]], votes: list[dict[str, Any]]) -> bool:
    left = iter(votes)
    for number, (needed, _) in enumerate(stages):
        counted: list[Person] = []
        for vote in left:
            is_in = not {f"{name}/{number}", f"{name}/{number}/escalated"}.isdisjoint(vote["stages"])
            if is_in and not vote["person"].is_any_of(counted):
                counted.append(vote["person"])
            if len(counted) >= needed:
                break
        else:
            return False
    return True


def stages_of(approvals: list[dict[str, Any]]) -> dict[str, list[tuple[int, bool]]]:
    """Of each approval, as the details of holds and grants have them: reviewers, votes, time, more."""
    return {
        approval["name"]: [
            (int(stage[1]), bool(stage[3].get("editor_may_approve")) if len(stage) > 3 else False)
            for stage in approval["stages"]
        ]
        for approval in approvals
    }
