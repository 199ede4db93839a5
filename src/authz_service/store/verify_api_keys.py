"""The rows of `api_keys` held against the entries that made them; what is in no row is not to be compared."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from authz_service.audit.draft import Kind
from authz_service.audit.entry import microseconds
from authz_service.audit.walk import Seen
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import api_keys
from authz_service.store.verify_columns import say_differing
from authz_service.store.verify_payloads import Say

_KINDS = frozenset(kind.value for kind in (Kind.API_KEY_CREATED, Kind.API_KEY_ROTATED, Kind.API_KEY_REVOKED))


class ApiKeysCheck:
    """Feed `page` with all entries in order, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say) -> None:
        self._reader, self._say = reader, say
        self._rows: dict[str, dict[str, Any]] = {}

    def page(self, seen: Sequence[Seen]) -> None:
        """Follow which keys were made, rotated and revoked."""
        for entry in seen:
            if entry.document["kind"] in _KINDS:
                try:
                    self._follow(entry)
                except (KeyError, ValueError, TypeError):
                    self._say(f"entry {entry.sequence}", "does not say which API key it is about")

    def end(self) -> None:
        """Compare all rows."""
        for row in self._reader.read(select(api_keys)):
            derived = self._rows.pop(row.id, None)
            if derived is None:
                self._say(f"API key {row.id}", "has a row, and no entry that made it")
                continue
            say_differing(self._say, f"API key {row.id}", dict(row._mapping), derived)
        for key_id in self._rows:
            self._say(f"API key {key_id}", "has an entry, and no row")

    def _follow(self, entry: Seen) -> None:
        document, data = entry.document, entry.document["data"]
        at = microseconds(document["at"])
        if document["kind"] == Kind.API_KEY_REVOKED:
            self._rows[data["key"]].update(revoked_at=at, seq=entry.sequence, ended=entry.sequence)
            return
        self._rows[data["key"]] = {
            "hash": bytes.fromhex(data["hash"]),
            "name": data.get("subject", ""),
            "created_at": at,
            "expires_at": data["expires"] * 1_000_000,
            "revoked_at": None,
            "replaces": data["replaces"],
            "seq": entry.sequence,
            "made": entry.sequence,
            "ended": None,
        }
        if document["kind"] == Kind.API_KEY_ROTATED:
            old = self._rows[data["replaces"]]
            old.update(
                expires_at=min(old["expires_at"], data["replaced_until"] * 1_000_000), seq=entry.sequence
            )
