"""Reading grants: one with its uses, and lists by filter, newest first."""

from __future__ import annotations

from sqlalchemy import ColumnElement, false, or_

from authz_service.audit.columns import clean
from authz_service.core.grants import Grant, GrantState, OneCaller, OneGroup
from authz_service.core.stored_grants import GrantPage, GrantQuery
from authz_service.errors import Unavailable
from authz_service.store import paging
from authz_service.store.grant_rows import WITH_SESSION, grant_rows, read_grant
from authz_service.store.schema import grants
from authz_service.store.transaction import Reader


def one(reader: Reader, grant_id: str) -> Grant | None:
    """See `GrantStore.grant`."""
    rows = grant_rows(reader, [grant_id])
    return read_grant(reader, rows[0], with_uses=True) if rows else None


def listed(reader: Reader, query: GrantQuery) -> GrantPage:
    """See `GrantStore.grants`. Of the filters, those that no column has are applied to each page."""
    filters = ["grants", *map(str, query.states), query.hold, query.model]
    statement = WITH_SESSION
    if query.states:
        statement = statement.where(or_(false(), *(_reads_as(s, reader.now) for s in query.states)))
    for column, wanted in ((grants.c.hold, query.hold), (grants.c.model, query.model)):
        if wanted:
            statement = statement.where(column == clean(wanted))
    below, size = paging.position(filters, query.page_token), paging.page_size(query.page_size)
    if below is not None:
        statement = statement.where(grants.c.seq < below)
    rows = reader.read(statement.order_by(grants.c.seq.desc()).limit(size + 1)).all()
    token = paging.token(filters, rows[size - 1].seq) if len(rows) > size else ""
    found, damaged = [], []
    for row in rows[:size]:
        try:
            found.append(read_grant(reader, row))
        except Unavailable:
            damaged.append(row.id)
    passing = tuple(grant for grant in found if _passes(grant, query))
    return GrantPage(passing, token, tuple(name for name in damaged if name.startswith(query.id_prefix)))


def _passes(grant: Grant, query: GrantQuery) -> bool:
    terms = grant.terms
    caller = terms.beneficiary.identity[1] if isinstance(terms.beneficiary, OneCaller) else ""
    group = terms.beneficiary.name if isinstance(terms.beneficiary, OneGroup) else ""
    return (
        grant.id.startswith(query.id_prefix)
        and query.caller in ("", caller)
        and query.group in ("", group)
        and (not query.rule or query.rule in terms.rules)
    )


def _reads_as(state: GrantState, now: int) -> ColumnElement[bool]:
    """The rows that are in `state` at `now`, as `grant_rows.state_at` says it of one."""
    proposed = grants.c.state == GrantState.PROPOSED.value
    active = grants.c.state == GrantState.ACTIVE.value
    is_late = or_(grants.c.deadline <= now, grants.c.until <= now)
    is_used_up = grants.c.used >= grants.c.uses
    match state:
        case GrantState.PROPOSED:
            return proposed & ~is_late
        case GrantState.ACTIVE:
            return active & ~is_used_up & (grants.c.until > now)
        case GrantState.USED_UP:
            return active & is_used_up
        case GrantState.EXPIRED:
            return or_(proposed & is_late, active & ~is_used_up & (grants.c.until <= now))
        case GrantState.REVOKED:
            return grants.c.state == state.value


def in_force(now: int) -> ColumnElement[bool]:
    """The rows of `grants` that still let something through, or may come to."""
    return or_(_reads_as(GrantState.PROPOSED, now), _reads_as(GrantState.ACTIVE, now))
