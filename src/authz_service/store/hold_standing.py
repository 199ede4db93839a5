"""How a hold's row stands at a moment, whatever its columns say of an earlier one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row

from authz_service.core.holds import Pending, Standing, Turn, Vote
from authz_service.core.standing import standing
from authz_service.core.stored_holds import HoldState
from authz_service.store.column_texts import micro, seconds
from authz_service.store.damage import DAMAGE
from authz_service.store.hold_documents import read_approvals

OPEN = (HoldState.PENDING, HoldState.APPROVED)


def state_at(row: Row[Any], now: int) -> HoldState:
    """The state of a row of `holds` at `now`: an overdue one is expired, swept or not."""
    state = HoldState(row.state)
    return HoldState.EXPIRED if state in OPEN and row.deadline <= now else state


def state_or_none(row: Row[Any], now: int) -> HoldState | None:
    """The same; None where that cannot be read: one such row must not keep the others from being read."""
    try:
        return state_at(row, now)
    except DAMAGE:
        return None


def stands_at(row: Row[Any], votes: Sequence[Vote], now: int) -> Standing:
    """Where a row of `holds` stands at `now` by these votes, whatever its column says."""
    detail = json.loads(row.detail)
    return standing(
        read_approvals(detail["approvals"]),
        votes,
        opened_at=seconds(row.begun_at),
        now=seconds(now),
        zones=detail.get("zones", {}),
    )


def next_turn(stands: Pending, now: int) -> int | None:
    """When the next turn after `now` is due; None when there is none."""
    return next((micro(turn.at) for turn in stands.turns if micro(turn.at) > now), None)


def is_due_soon(pending: Pending, now: int) -> bool:
    """An open stage was reminded, or should have been by `now`."""
    return any(
        turn.turn is Turn.REMINDED and turn.stage in pending.open_stages and micro(turn.at) <= now
        for turn in pending.turns
    )
