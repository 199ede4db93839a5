"""States of holds as commands show them."""

from __future__ import annotations

from tests.servers.review_fakes import Review

from authz_service.core.stored_holds import HoldState


def state(review: Review, hold: str = "hld_1") -> HoldState:
    return review.store.held[hold].state
