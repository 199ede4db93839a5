"""A record that was rewritten, cut or signed by others is found by keys and kept checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import (
    text,
    update,
)
from tests.store.filled_record import KEY, change, found, rows_of, verify

from authz_service.audit.merkle import Frontier, leaf_hash
from authz_service.audit.walk import Kept
from authz_service.errors import Misconfigured
from authz_service.keys.log_key import LogKey
from authz_service.store.schema import (
    entries,
    head,
    holds,
    sessions,
    votes,
)


def rewrite(
    place: Any, number: int, body: Callable[[bytes], bytes], *, signed_by: LogKey | None = None
) -> None:
    """Change an entry and everything that follows from it, as somebody with the whole database can."""
    rows = rows_of(place, entries)
    frontier = Frontier()
    for row in rows:
        changed = body(row.body) if row.seq == number else row.body
        frontier.append(leaf_hash(changed))
        if row.seq == number:
            values = {"body": changed, "leaf": leaf_hash(changed)}
            change(place, update(entries).where(entries.c.seq == number).values(values))
    values = {"root": frontier.root(), "frontier": frontier.to_bytes()}
    if signed_by is not None:
        from authz_service.audit.checkpoint import Checkpoint, sign_head

        checkpoint = Checkpoint(signed_by.vkey.name, frontier.size, frontier.root())
        values["signature"] = sign_head(checkpoint, signed_by)
    change(place, update(head).values(values))


def kept_at(place: Any, size: int, *, with_frontier: bool = True) -> Kept:
    frontier = Frontier()
    for row in rows_of(place, entries)[:size]:
        frontier.append(leaf_hash(row.body))
    return Kept(f"kept {size}", size, frontier.root(), frontier if with_frontier else None)


def deny_to_allow(body: bytes) -> bytes:
    return body.replace(b'"POST"', b'"HEAD"')


def test_whoever_rewrites_the_whole_database_lacks_the_signature(filled: Any) -> None:
    rewrite(filled, 2, deny_to_allow)
    assert ("head", "its signature is not that of a key that is known") in found(filled)
    rewrite(filled, 2, deny_to_allow, signed_by=LogKey.create("example.com/log"))
    assert ("head", "its signature is not that of a key that is known") in found(filled)


def test_whoever_has_the_key_too_is_found_by_checkpoints_and_narrowed_between_two(filled: Any) -> None:
    kept = tuple(kept_at(filled, size) for size in (1, 5, 9, 12))
    assert found(filled, kept=kept) == []
    rewrite(filled, 7, lambda body: body.replace(b'"seq"', b'"seq" '), signed_by=KEY)
    change(filled, sessions.delete(), holds.delete(), votes.delete())
    wrong = [w for w in found(filled, kept=kept) if w[0].startswith("entries")]
    assert wrong == [("entries 6 to 9", "are not those that were signed in kept 9 (size 9)")]
    without = tuple(replace(checkpoint, frontier=None) for checkpoint in kept)
    named = [record for record, _ in found(filled, kept=without) if record.startswith("entries")]
    assert named == ["entries 6 to 9", "entries 6 to 12"]  # nothing then says that the rest is right again
    alone = [w for w in found(filled) if w[0].startswith(("entries", "head"))]
    assert alone == []  # this is what cannot be found without a checkpoint


def test_a_tail_that_was_cut_is_found_by_a_checkpoint(filled: Any) -> None:
    size = len(rows_of(filled, entries))
    kept = (kept_at(filled, size, with_frontier=False),)
    shorter = kept_at(filled, size - 2)
    from authz_service.audit.checkpoint import Checkpoint, sign_head

    assert shorter.frontier is not None
    signature = sign_head(Checkpoint(KEY.vkey.name, size - 2, shorter.root), KEY)
    change(
        filled,
        entries.delete().where(entries.c.seq > size - 2),
        update(head).values(
            size=size - 2, root=shorter.root, frontier=shorter.frontier.to_bytes(), signature=signature
        ),
    )
    what = f"the record had {size} entries then and has {size - 2} now: its end is missing"
    assert (f"kept {size}", what) in found(filled, kept=kept)


def test_the_key_of_another_log_is_not_believed(filled: Any) -> None:
    other = LogKey.create("example.com/log")
    assert found(filled, key=other) == [("head", "its signature is not that of a key that is known")]


def test_a_newer_schema_is_refused_and_not_verified(filled: Any) -> None:
    change(filled, text("UPDATE authz_schema SET version_num = '9999'"))
    with pytest.raises(Misconfigured, match="newer version"):
        verify(filled)
