"""How a hold stands, as its entries tell: for verification."""

from __future__ import annotations

from dataclasses import dataclass, field

from authz_service.core.business_hours import Zones
from authz_service.core.holds import Approval, Approved, Pending, Rejected, Standing, Verdict, Vote
from authz_service.core.standing import standing
from authz_service.core.stored_holds import HoldState
from authz_service.store.column_texts import micro, seconds
from authz_service.store.hold_standing import OPEN, next_turn
from authz_service.store.verify_eyes import Eyes


@dataclass(slots=True)
class KnownHold:
    """How a hold stands; `deadline` is None where nothing says what the hold was opened under."""

    begun_at: int
    changed: int
    deadline: int | None
    forward: str
    forward_size: int
    named: frozenset[str]
    """What entries call its bytes: the salted digest of their payload; in the first version, their own."""
    digest: str | None
    asks: frozenset[str]
    """The names of its approvals."""
    approvals: tuple[Approval, ...] | None
    zones: Zones
    eyes: Eyes
    turn_at: int | None = None
    is_gone: bool = False
    """Whether a tombstone says that its row, and those of its votes, were taken."""
    version: int = 1
    state: HoldState = HoldState.PENDING
    released_to: str | None = None
    review: str = ""
    votes: list[Vote] = field(default_factory=list)

    def stands(self, at: int) -> Standing | None:
        """Where it stands; None where nothing says what it was opened under."""
        if self.approvals is None:
            return None
        begun_at = seconds(self.begun_at)
        return standing(self.approvals, self.votes, opened_at=begun_at, now=seconds(at), zones=self.zones)

    def is_decided(self, verdict: Verdict, at: int) -> bool:
        """Whether its votes say so: all that it asks for, each in time, or one that says no.

        Where nothing says how many it asks for, there is at least one for each of its approvals.
        """
        stands = self.stands(at)
        if stands is not None:
            return isinstance(stands, Approved if verdict is Verdict.APPROVE else Rejected)
        return has_some(self.votes, verdict, self.asks)

    def may_go(self, at: int) -> bool:
        """Whether it may be released: approved, by votes that nobody has taken back, and used in time."""
        is_in_time = self.deadline is None or at < self.deadline
        return self.state is HoldState.APPROVED and is_in_time and self.is_decided(Verdict.APPROVE, at)

    def is_known(self, column: str) -> bool:
        """Whether what a column should have can be derived."""
        if column == "turn_at":
            return self.approvals is not None or self.state is not HoldState.PENDING
        return column not in ("deadline", "digest") or getattr(self, column) is not None

    def wait(self, at: int) -> None:
        """It pends, as its votes say at that moment."""
        stands = self.stands(at)
        if isinstance(stands, Pending):
            self.deadline, self.turn_at = micro(stands.deadline), next_turn(stands, at)
        elif stands is None:
            self.deadline = None

    def end(self, state: HoldState) -> None:
        """It pends no longer."""
        self.state, self.turn_at = state, None

    @property
    def is_open(self) -> bool:
        """Whether something may still become of it."""
        return self.state in OPEN


def has_some(votes: list[Vote], verdict: Verdict, asks: frozenset[str]) -> bool:
    """Whether there is a vote that says so, and to approve one in the first stage of all that are asked."""
    said = [v for v in votes if v.withdrawn_at is None and not v.is_void and v.verdict is verdict]
    if verdict is Verdict.REJECT or any(vote.is_break_glass for vote in said):
        return bool(said)
    named = {ref.approval for vote in said for ref in vote.counts_for if ref.stage == 0}
    return bool(said) and asks <= named
