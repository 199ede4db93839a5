"""The configuration files that were in force, as their activation put them on record."""

from __future__ import annotations

from sqlalchemy import select

from authz_service.audit.draft import Kind
from authz_service.store.payload_rows import read_payloads
from authz_service.store.schema import entries
from authz_service.store.sound_entries import SOUND, sound
from authz_service.store.transaction import Reader


def policy_file(reader: Reader, digest: str) -> bytes | None:
    """The file of the policy with this digest; None when it never was in force, or is not kept any more."""
    query = select(*SOUND).where(entries.c.session.is_(None)).order_by(entries.c.seq.desc())
    wanted = digest.encode()
    for row in reader.read(query):
        entry = sound(row) if isinstance(row.body, bytes) and wanted in row.body else None
        if entry is None or entry.kind != Kind.POLICY_ACTIVATED:
            continue
        reference = entry.payloads.get("file")
        if entry.data.get("policy") != digest or reference is None:
            continue
        opened = read_payloads(reader, {reference.digest}).get(reference.digest)
        if opened is not None:
            return opened.body
    return None
