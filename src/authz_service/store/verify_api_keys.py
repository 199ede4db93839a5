"""The rows of `api_keys` held against the entries that made them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from authz_service.audit.draft import Kind
from authz_service.audit.entry import microseconds
from authz_service.audit.walk import Seen
from authz_service.store.api_key_rows import NAMELESS, detail_of
from authz_service.store.record_reader import RecordReader
from authz_service.store.schema import api_keys
from authz_service.store.verify_payloads import Say, Wanted

_KINDS = frozenset(kind.value for kind in (Kind.API_KEY_CREATED, Kind.API_KEY_ROTATED, Kind.API_KEY_REVOKED))


class ApiKeysCheck:
    """Feed `page` with all entries in order and their payloads, then ask `end`."""

    def __init__(self, reader: RecordReader, say: Say) -> None:
        self._reader, self._say = reader, say
        self._rows: dict[str, dict[str, Any]] = {}

    def page(self, seen: Sequence[Seen], payloads: Mapping[Wanted, bytes]) -> None:
        """Follow which keys were made, rotated and revoked."""
        for entry in seen:
            if entry.document["kind"] in _KINDS:
                try:
                    self._follow(entry, payloads)
                except (KeyError, ValueError, TypeError):
                    self._say(f"entry {entry.sequence}", "does not say which API key it is about")

    def end(self) -> None:
        """Compare all rows."""
        for row in self._reader.read(select(api_keys)):
            derived = self._rows.pop(row.id, None)
            if derived is None:
                self._say(f"API key {row.id}", "has a row, and no entry that made it")
                continue
            for column, value in derived.items():
                if getattr(row, column) != value:
                    self._say(f"API key {row.id}", f"its column {column} is not what its entries make of it")
        for key_id in self._rows:
            self._say(f"API key {key_id}", "has an entry, and no row")

    def _follow(self, entry: Seen, payloads: Mapping[Wanted, bytes]) -> None:
        document, data = entry.document, entry.document["data"]
        # What is not there went with whom it is about, or was named already.
        operator = _told(payloads, entry, "operator", {"subject": ""} if "operator" in data else None)
        by, at = operator.get("person") or operator["subject"], microseconds(document["at"])
        if document["kind"] == Kind.API_KEY_REVOKED:
            row = self._rows[data["key"]]
            reason = json.loads(payloads[entry.sequence, "reason"])["reason"]
            ended_by = {"ended_by": data["operator"]} if "operator" in data else {}
            detail = {**json.loads(row["detail"]), "revoked_by": by, "reason": reason, **ended_by}
            row.update(revoked_at=at, seq=entry.sequence, detail=json.dumps(detail))
            return
        nameless = {"name": data["key"], **NAMELESS} if "subject" in data else None
        key = _told(payloads, entry, "key", nameless)
        detail = detail_of(
            owner=key["owner"],
            groups=key["groups"],
            scope=data["scope"],
            by=by,
            made_by=data.get("operator"),
        )
        self._rows[data["key"]] = {
            "hash": bytes.fromhex(data["hash"]),
            "name": key["name"],
            "created_at": at,
            "expires_at": data["expires"] * 1_000_000,
            "revoked_at": None,
            "replaces": data["replaces"],
            "seq": entry.sequence,
            "detail": json.dumps(detail),
        }
        if document["kind"] == Kind.API_KEY_ROTATED:
            old = self._rows[data["replaces"]]
            old.update(
                expires_at=min(old["expires_at"], data["replaced_until"] * 1_000_000), seq=entry.sequence
            )


def _told(
    payloads: Mapping[Wanted, bytes], entry: Seen, name: str, otherwise: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    found = payloads.get((entry.sequence, name))
    if found is None and otherwise is not None:
        return otherwise
    told: dict[str, Any] = json.loads(payloads[entry.sequence, name])
    return told
