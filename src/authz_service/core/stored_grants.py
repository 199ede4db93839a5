"""Grants as a store has them: what is asked of it, and what ending one comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from authz_service.audit.draft import EntryDraft
from authz_service.core.grants import Grant, GrantState, Maker, Terms


@dataclass(frozen=True, slots=True)
class GrantQuery:
    """Filters of a list of grants, newest first; empty means any. `caller` is a subject or person."""

    states: tuple[GrantState, ...] = ()
    id_prefix: str = ""
    hold: str = ""
    caller: str = ""
    group: str = ""
    rule: str = ""
    model: str = ""
    page_size: int = 50
    page_token: str = ""


@dataclass(frozen=True, slots=True)
class GrantPage:
    """One page of a list, and the token of the next one ("" on the last).

    `damaged` are the ids of those that may belong there and cannot be read any more.
    """

    items: tuple[Grant, ...]
    next_page_token: str = ""
    damaged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GrantEnd:
    """What revoking came to: the grant, None where it cannot be read, and the sessions that end with it."""

    grant: Grant | None
    sessions: tuple[str, ...] = ()


class GrantStore(Protocol):
    """Durable grants, shared by all replicas; each change is committed with its entries."""

    async def propose_grant(self, hold_id: str, *, terms: Terms, shown: str, by: Maker) -> Grant:
        """Vote for terms made from a hold whose bytes `shown` (their digest) names; in force with all votes.

        The same terms again are the same proposal. Raises `NotFound`; `Forbidden` for the requester and for
        who may vote in no open stage; `Conflict` when no grant can be made from the hold (any more), its
        bytes are others, or the person has voted.
        """
        ...

    async def approve_grant(self, grant_id: str, *, digest: str, by: Maker) -> Grant:
        """Vote for a proposal with these terms; raises as `propose_grant`."""
        ...

    async def revoke_grant(
        self, grant_id: str, *, by: Maker, killed: Callable[[str], EntryDraft] | None = None
    ) -> GrantEnd:
        """End it, and with `killed` every exchange that it let through and that has not ended.

        `killed` makes the entry for a session that is to end. Raises `NotFound`, and `Conflict` for what has
        ended, unless it is to be killed and something of it still runs. Neither its terms and votes nor the
        hold that it was made from need be readable for that.
        """
        ...

    async def grant(self, grant_id: str) -> Grant | None:
        """One grant as it stands now, with its uses."""
        ...

    async def grants(self, query: GrantQuery) -> GrantPage:
        """Grants by filter, newest first; a page may be short. Raises `Unreadable` for a foreign token."""
        ...
