"""A record opens with the keys that it was written with: with others, its payloads would seem erased."""

from __future__ import annotations

from sqlalchemy import Connection, select

from authz_service.errors import Misconfigured
from authz_service.store.keyring import Keyring
from authz_service.store.schema import payloads


def require_keys(connection: Connection, keyring: Keyring | None) -> None:
    """Raise `Misconfigured` unless the key of the last payload was made, or destroyed, in this key store."""
    query = select(payloads.c.key).where(payloads.c.key.is_not(None)).order_by(payloads.c.at.desc()).limit(1)
    last = connection.execute(query).scalar()
    if last is None:
        return
    if keyring is None:
        raise Misconfigured("the payloads of this record are sealed, and this store was opened without keys")
    if not keyring.knows(last):
        raise Misconfigured(
            "the key store is not that of this record, or older than it (a keys.db that is missing is made"
            " anew, empty); restore its latest backup, or name it in record.keys.url"
        )
