"""The configuration files that were in force, as their activation put them on record."""

from __future__ import annotations

import orjson
from sqlalchemy import select

from authz_service.audit.draft import Kind
from authz_service.audit.entry import decode
from authz_service.store.payload_rows import read_payloads
from authz_service.store.schema import entries
from authz_service.store.transaction import Reader


def policy_file(reader: Reader, digest: str) -> bytes | None:
    """The file of the policy with this digest; None when it never was in force, or is not kept any more."""
    query = select(entries.c.body).where(entries.c.session.is_(None)).order_by(entries.c.seq.desc())
    wanted = digest.encode()
    for body in map(bytes, reader.read(query).scalars()):
        if wanted not in body or orjson.loads(body)["kind"] != Kind.POLICY_ACTIVATED:
            continue
        entry = decode(body)
        reference = entry.payloads.get("file")
        if entry.data.get("policy") != digest or reference is None:
            continue
        opened = read_payloads(reader, {reference.digest}).get(reference.digest)
        if opened is not None:
            return opened.body
    return None
