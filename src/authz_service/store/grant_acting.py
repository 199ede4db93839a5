"""What people say of a grant: its row and its entry; and what was said with the same key before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, insert, select

from authz_service.audit.draft import EntryDraft, Kind, Scalar, Subject
from authz_service.audit.entry import rfc3339
from authz_service.core.grants import GrantState, Maker
from authz_service.core.holds import StageRef
from authz_service.errors import Conflict
from authz_service.store.column_texts import identity_text, key_text, micro
from authz_service.store.grant_documents import digest_of
from authz_service.store.grant_origin import Origin
from authz_service.store.grant_rows import REVOKE, VOTE, Said, act_detail, grant_with_id
from authz_service.store.schema import grant_acts
from authz_service.store.transaction import Transaction
from authz_service.store.voices import owners_said, typed_said

_KINDS = {"vote": Kind.GRANT_VOTED, REVOKE: Kind.GRANT_REVOKED}
Data = Mapping[str, Scalar | list[Scalar]]


@dataclass(frozen=True, slots=True)
class Act:
    """One of them; `kind` is `vote` or `revoke`; with `killed` that ended these sessions too."""

    id: str
    kind: str
    by: Maker
    counts_for: Sequence[StageRef] = ()
    killed: Sequence[str] | None = None


def keep_act(transaction: Transaction, grant: Row[Any], origin: Origin, act: Act, data: Data) -> int:
    """Record it, with `data` beside what every one of them has; the number of its entry."""
    by = act.by
    voter = {"voter": list(by.person), "account": list(by.account), "name": by.name}
    payloads = {"voter": json.dumps(voter).encode()}
    if by.reason:
        payloads["reason"] = by.reason.encode(errors="replace")
    key = key_text(by.idempotency_key) if by.idempotency_key else None
    said: dict[str, Scalar | list[Scalar]] = {
        "grant": grant.id,
        "hold": grant.hold,
        "act": act.id,
        "voter": transaction.pseudonym(by.person),
        "key": key,
        **data,
    }
    owners = owners_said(transaction, by.owners) if act.kind == VOTE else ()
    said |= {"owners": list(owners)} if owners else {}
    said |= {"typed": [*typed_said(transaction, by.person, by.account)]} if act.kind == VOTE else {}
    subjects: dict[str, Subject] = {"voter": by.person}
    draft = EntryDraft(_KINDS[act.kind], origin.session, {**said}, payloads, origin.requester, subjects)
    seq = transaction.record(draft).last
    row = {
        "seq": seq,
        "id": act.id,
        "grant_id": grant.id,
        "hold": grant.hold,
        "kind": act.kind,
        "voter": identity_text(by.person),
        "account": identity_text(by.account),
        "idempotency_key": key,
        "at": transaction.now,
        "detail": act_detail(act.kind, by.name, by.reason, act.counts_for, act.killed, owners),
    }
    transaction.change(insert(grant_acts).values(row))
    return seq


def voted_before(
    transaction: Transaction, hold: str, *, digest: str, by: Maker, grant: str | None = None
) -> Row[Any] | None:
    """The grant for which this person voted before, by the key; the same key for another is refused.

    `grant` is the one that they vote for, None where they propose one: another may have had the same terms.
    """
    act = _done_before(transaction, hold, by)
    if act is None:
        return None
    row = grant_with_id(transaction, act.grant_id)
    if grant not in (None, row.id):
        raise _reused()
    if act.kind != VOTE or digest_of(json.loads(row.detail)["terms"]) != digest:
        raise _reused()
    return row


def ended_before(
    transaction: Transaction, grant: Row[Any], *, is_kill: bool, by: Maker
) -> tuple[str, ...] | None:
    """The sessions that this person ended with the grant before, by the key; None where they did not end it.

    An end with `is_kill` and one without differ; the same key for another is refused.
    """
    act = _done_before(transaction, grant.hold, by)
    if act is None:
        return None
    if (act.kind, act.grant_id) != (REVOKE, grant.id):
        raise _reused()
    killed = json.loads(act.detail).get("killed")
    if is_kill != (killed is not None):
        raise _reused()
    return tuple(killed or ())


def _done_before(transaction: Transaction, hold: str, by: Maker) -> Row[Any] | None:
    if not by.idempotency_key:
        return None
    query = select(grant_acts.c.grant_id, grant_acts.c.kind, grant_acts.c.detail)
    return transaction.read(query.where(_same_key(hold, by))).one_or_none()


def _same_key(hold: str, by: Maker) -> ColumnElement[bool]:
    return (
        (grant_acts.c.hold == hold)
        & (grant_acts.c.voter == identity_text(by.person))
        & (grant_acts.c.idempotency_key == key_text(by.idempotency_key))
    )


def _reused() -> Conflict:
    return Conflict("this idempotency key was used for something else", code="idempotency_key_reused")


def refuse_ended(row: Row[Any], state: GrantState, said: Said) -> None:
    """Raise `Conflict`, which says what became of the grant, unless it is proposed or in force."""
    match state:
        case GrantState.PROPOSED | GrantState.ACTIVE:
            return
        case GrantState.REVOKED:
            revoked = said.revoked
            who = "" if revoked is None else f" by {revoked.name or revoked.person[1]}"
            when = "" if revoked is None else f" at {rfc3339(micro(revoked.at))}"
            what = f"was revoked{who}{when}"
        case GrantState.USED_UP:
            what = f"is used up: {row.used} of {row.uses}"
        case GrantState.EXPIRED:
            ended = row.until if row.state == GrantState.ACTIVE.value else min(row.deadline, row.until)
            what = f"expired at {rfc3339(ended)}"
    raise Conflict(f"grant {row.id} {what}", code=f"grant_{state.value}")
