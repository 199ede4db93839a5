"""Using a grant: the release of a request that it covers and the use it costs, in one transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import structlog
from sqlalchemy import Row, func, insert, select, update

from authz_service.audit.columns import clean
from authz_service.audit.draft import Data, EntryDraft, Kind
from authz_service.core.grants import GrantState, Held, OneCaller, OneGroup, covers
from authz_service.core.holds import Approved
from authz_service.core.openings import Granted
from authz_service.core.requesters import owners_of
from authz_service.core.stored_holds import HoldDraft
from authz_service.errors import Unavailable
from authz_service.store.column_texts import seconds
from authz_service.store.damage import DAMAGE
from authz_service.store.grant_documents import beneficiary_text, read_terms
from authz_service.store.grant_origin import require_origin
from authz_service.store.grant_rows import WITH_SESSION, Said, said_of, stands_by, state_at
from authz_service.store.schema import grant_uses, grants
from authz_service.store.taking_up import require_ours
from authz_service.store.transaction import Reader, Transaction
from authz_service.store.voices import owners_said, typed_said, voice_of_caller, voice_said
from authz_service.view.caller import Caller

log = structlog.get_logger(__name__)


def grant_for(transaction: Transaction, held: Held) -> Row[Any] | None:
    """The grant that covers a request now, of several the one that ends first.

    The row is not believed by itself: the votes and the uses must say the same. One that cannot be read
    covers nothing, nor does one whose hold cannot be read: the request waits for people, as if it were not
    there, and the log names it.
    """
    for row in _candidates(transaction, held):
        try:
            if _covers(transaction, row, held):
                require_origin(transaction, row)
                return row
        except Unavailable:
            log.error("grant.damaged", grant=row.id, hold=row.hold)
        except DAMAGE as error:
            log.error("grant.damaged", grant=row.id, error=type(error).__name__)
    return None


def held_by(draft: HoldDraft) -> Held | None:
    """What is to be held, as grants ask about it; None where none may apply."""
    if draft.traits is None or draft.release is None:
        return None
    return Held(draft.caller, draft.api, draft.operation, draft.model, draft.traits, draft.approvals)


def spend(transaction: Transaction, row: Row[Any], draft: HoldDraft) -> Granted:
    """Record the release of the request under this grant, and one more use of it.

    Raises `Conflict` where the exchange is not this process's any more, or an operator has ended it.
    """
    if draft.release is None:
        raise ValueError("a release is on record, or it is none")
    require_ours(transaction, draft.session)
    number = row.used + 1
    data: Data = {"grant": row.id, "hold": row.hold, "number": number, "uses": row.uses}
    used = EntryDraft(Kind.GRANT_USED, draft.session, {**data, **_whom(transaction, draft.caller)})
    released = replace(draft.release, data={**draft.release.data, "grant": row.id})
    recorded = transaction.record(*draft.entries, used, released)
    seq = recorded.last - 1
    use = {
        "seq": seq,
        "grant_id": row.id,
        "number": number,
        "session": draft.session,
        "at": transaction.now,
    }
    transaction.change(insert(grant_uses).values(use))
    change_grant(transaction, row, seq, {"used": number})
    return Granted(row.id)


def _whom(transaction: Transaction, caller: Caller) -> Data:
    """Who uses it, as votes say who voted: whether it is for them can be told from the record alone."""
    owners = owners_said(transaction, owners_of(caller))
    return {
        "person": transaction.pseudonym(caller.identity),
        "typed": [*typed_said(transaction, caller.identity, (caller.issuer, caller.subject))],
        **({"owners": [*owners]} if owners else {}),
    }


def change_grant(transaction: Transaction, row: Row[Any], seq: int, values: dict[str, Any]) -> None:
    """Compare and set; a row that changed within our transaction is a fault of ours."""
    unchanged = (grants.c.id == row.id) & (grants.c.changed == row.changed) & (grants.c.state == row.state)
    values = {**values, "changed": seq}
    if transaction.change(update(grants).where(unchanged).values(values)) != 1:
        raise RuntimeError(f"grant {row.id} changed within a transaction that no other interleaves with")


def _candidates(reader: Reader, held: Held) -> Sequence[Row[Any]]:
    """What may be for this caller, by the columns."""
    caller = held.caller
    whom = [beneficiary_text(OneCaller(caller.identity))]
    whom += [beneficiary_text(OneGroup(caller.issuer, group)) for group in caller.groups]
    query = WITH_SESSION.where(
        grants.c.beneficiary.in_(whom),
        grants.c.model == clean(held.model),
        grants.c.until > reader.now,
        grants.c.state == GrantState.ACTIVE.value,
        grants.c.used < grants.c.uses,
    )
    return reader.read(query.order_by(grants.c.until, grants.c.seq)).all()


def _covers(transaction: Transaction, row: Row[Any], held: Held) -> bool:
    if state_at(row, transaction.now) is not GrantState.ACTIVE:
        return False
    terms = read_terms(json.loads(row.detail)["terms"])
    now = seconds(transaction.now)
    if not covers(terms, held, (), now=now):
        return False  # most do not, and what follows is read for each
    said = said_of(transaction, row.id)
    stands = stands_by(row.detail, said.votes, created_at=row.created_at, now=transaction.now)
    query = select(func.count()).select_from(grant_uses).where(grant_uses.c.grant_id == row.id)
    used = int(transaction.read(query).scalar_one())
    is_agreed = isinstance(stands, Approved) and row.used == used < terms.uses
    return (
        is_agreed
        and covers(terms, held, said.makers, now=now)
        and not _is_of_maker(transaction, said, held.caller)
    )


def _is_of_maker(transaction: Transaction, said: Said, caller: Caller) -> bool:
    """Whether an owner makes the caller and one who voted one person; the same identity `covers` finds."""
    if not said.owning and not owners_of(caller):
        return False
    asks = voice_of_caller(transaction, caller)
    return any(
        asks.is_one_with(voice_said(transaction, theirs, said.owners[vote]))
        for vote, theirs in said.voters.items()
    )
